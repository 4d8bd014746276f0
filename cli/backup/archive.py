"""The file: a tar that begins with what it is about and ends with the digest of every member.

A file without its end was cut off; one with another digest is damaged. Both are refused whole.
"""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Self

from cli.errors import CommandError

_ABOUT: Final = "about.json"
_DIGESTS: Final = "digests.json"
_FORMAT: Final = 1
_PIECE: Final = 2**20
_NO_BACKUP: Final = "is not a whole backup"
_CURE: Final = "nothing was changed; use another backup"


@dataclass(frozen=True, slots=True)
class About:
    """What whoever restores must know before anything else."""

    version: str
    created: str
    postgres_major: int


class Writer:
    """Members in any order between ``about`` and ``close``."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by close()
        self._digests: dict[str, str] = {}
        self._text(_ABOUT, json.dumps({"format": _FORMAT, **asdict(about)}, indent=1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self.close()

    def add(self, name: str, path: Path) -> None:
        """One file, as long as it is at this moment: one that still grows is cut there."""
        with path.open("rb") as file:
            info = tarfile.TarInfo(name)
            info.size = os.fstat(file.fileno()).st_size
            hashing = _Hashing(file)
            self._tar.addfile(info, hashing)
        self._digests[name] = hashing.hexdigest()

    def add_tree(self, name: str, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add(f"{name}/{path.relative_to(folder).as_posix()}", path)

    def close(self) -> None:
        self._text(_DIGESTS, json.dumps(self._digests, indent=0))
        self._tar.close()

    def _text(self, name: str, text: str) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(text.encode())
        self._tar.addfile(info, io.BytesIO(text.encode()))


def unpack(file: Path, folder: Path) -> About:
    """Everything in ``file`` below ``folder``, which is new; nothing of it counts on an error."""
    try:
        with tarfile.open(file, mode="r|") as tar:
            return _unpack(tar, folder)
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} {_NO_BACKUP}: {error}", _CURE) from error
    except FileNotFoundError as error:
        raise CommandError(f"{file} is not there", "name the file of a backup") from error


def _unpack(tar: tarfile.TarFile, folder: Path) -> About:
    found: dict[str, str] = {}
    about: About | None = None
    told: dict[str, str] | None = None
    for member in tar:
        if about is None:
            about = _about(_json(tar, member, _ABOUT))
        elif member.name == _DIGESTS:
            told = _json(tar, member, _DIGESTS)
        else:
            found[member.name] = _write(tar, member, folder)
    if about is None or told is None:
        raise ValueError("its end is missing")
    if wrong := sorted(name for name in told.keys() | found if told.get(name) != found.get(name)):
        raise ValueError(f"{wrong[0]} is damaged or missing, and {len(wrong) - 1} more")
    return about


def _about(told: dict[str, Any]) -> About:
    if told.pop("format") != _FORMAT:
        raise ValueError("it was written by another version of the platform")
    return About(**told)


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Any:
    source = tar.extractfile(member)
    if member.name != name or source is None:
        raise ValueError(f"it has {member.name} where {name} belongs")
    return json.loads(source.read())


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Below ``folder`` and nowhere else, readable by its owner only; says the digest."""
    parts = PurePosixPath(member.name).parts
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or not parts or {"..", "/"} & set(parts):
        raise ValueError(f"{member.name} does not belong into one")
    path = folder.joinpath(*parts)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._digest.update(piece)
        return piece

    def hexdigest(self) -> str:
        return self._digest.hexdigest()
