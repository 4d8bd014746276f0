"""``python -m docs.generate [--check]``: writes the pages of docs/ that the code can say itself."""

import sys
from pathlib import Path

from docs.generate.pages import DOCS, pages, stale


def main(argv: list[str]) -> int:
    if argv == ["--check"]:
        found = stale(DOCS)
        sys.stderr.writelines(f"docs/{name} is stale: run `make docs`\n" for name in found)
        return 1 if found else 0
    for name, text in pages(DOCS).items():
        path = Path(DOCS, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
