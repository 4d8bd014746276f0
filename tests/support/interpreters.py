"""Environments with the platform's own packages, one for each Python that the machine has."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = ROOT / ".cache" / "interpreters"
_LOCK: Final = ROOT / "requirements" / "runtime.txt"
BYTECODE: Final = _CACHE / "bytecode"
_MINORS: Final = ("3.11", "3.12", "3.13", "3.14")


@cache
def interpreters() -> tuple[Path, ...]:
    """The test's own first, then one of every other version that the platform supports."""
    found = {_OWN: Path(sys.executable)}
    for minor in _MINORS:
        if minor not in found and (python := _find(minor)) is not None:
            found[minor] = _environment(minor, python)
    return tuple(found.values())


_OWN: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def _find(minor: str) -> Path | None:
    return next((each for each in _candidates(minor) if _starts(each, minor)), None)


def _candidates(minor: str) -> Iterator[Path]:
    """On PATH, and where the test's own is one of several side by side."""
    if on_path := shutil.which(f"python{minor}"):
        yield Path(on_path)
    yield from sorted(Path(sys.base_prefix).parent.glob(f"*/bin/python{minor}"))


def _starts(python: Path, minor: str) -> bool:
    ask = "import sys, ssl; print('%d.%d' % sys.version_info[:2])"
    said = subprocess.run(
        [python, "-I", "-c", ask], capture_output=True, text=True, timeout=20, check=False
    )
    return said.stdout.strip() == minor


def _environment(minor: str, python: Path) -> Path:
    """Compiled, as it starts often; made once. The marker is written last."""
    key = hashlib.sha256(_LOCK.read_bytes() + str(python).encode()).hexdigest()[:12]
    folder = _CACHE / f"{minor}-{key}"
    marker, inside = folder / ".complete", folder / "bin" / "python"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            uv = str(Path(sys.executable).with_name("uv"))
            _run(uv, "venv", "-q", "--clear", "--python", str(python), str(folder))
            install = (uv, "pip", "install", "-q", "--require-hashes", "--compile-bytecode")
            _run(*install, "--python", str(inside), "-r", str(_LOCK))
            marker.touch()
    return inside


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
