"""The project's own files, for tests that read code instead of running it."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = ("libs", "services", "cli")
EVERYWHERE: Final = (*PROGRAM, "bench", "docs", "tests")


def modules(*folders: str) -> list[Path]:
    """Python files below ``folders``, relative to the root."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), filename=str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def committed() -> list[Path]:
    """Files that git knows or would add; without git (an unpacked release), every file."""
    try:
        listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    except (FileNotFoundError, subprocess.CalledProcessError):
        hidden = {".venv", ".git", "__pycache__"}
        every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return [path for path in every if not hidden.intersection(path.parts)]
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout
