"""``python -m bench [NAME...] [--json]``: measure, and print each figure beside what limits it.

A target that is missed is marked; it makes no failure, since other work on the machine is
in every figure. What cannot be measured at all is one.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Final

from bench import bucket, builder, bus, images, mlflow, platform, search, transfer
from bench.report import Row, table

_BENCHES: Final = {
    "platform": platform.measure,
    "bus": bus.measure,
    "transfer": transfer.measure,
    "search": search.measure,
    "mlflow": mlflow.measure,
    "images": images.measure,
    "builder": builder.measure,
    "bucket": bucket.measure,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("name", nargs="*", choices=[*_BENCHES, []], help="default: all of them")
    parser.add_argument("--json", action="store_true", help="answer for programs")
    given = parser.parse_args(argv)
    rows: list[Row] = []
    for name in given.name or _BENCHES:
        sys.stderr.write(f"{name} …\n")
        found = _BENCHES[name]()
        rows += found
        if not given.json:
            print(table(name, found), flush=True)
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
