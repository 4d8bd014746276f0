"""Looking into the layers of a base image for what has to be known of it, in one pass."""

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from services.builder.domain import Contents
from services.builder.errors import BuildFailedError
from services.builder.layers.noting import Notes

_TEXTS: Final = frozenset(
    {"etc/passwd", "etc/group", "etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status"}
)
_HEADER: Final = "include/python3."
_MOST_TEXT: Final = 16 * 2**20
_MOST_ENTRIES: Final = 2_000_000
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclass(slots=True)
class Looked:
    """``names`` are files and links of programs and libraries, with a link's target."""

    texts: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    contents: list[Contents] = field(default_factory=list)
    """Of each layer for itself."""

    def remove(self, path: str) -> None:
        for known in (self.texts, self.names):
            for name in [each for each in known if each == path or each.startswith(f"{path}/")]:
                del known[name]


def look(layers: Iterable[tuple[Path, str]]) -> Looked:
    """``layers`` are files with their media types, the lowest first."""
    seen = Looked()
    for file, media_type in layers:
        with opened(file, media_type) as tar:
            _look(tar, seen)
    return seen


@contextmanager
def opened(file: Path, media_type: str) -> Iterator[tarfile.TarFile]:
    """Raises ``BuildFailedError`` for whatever is wrong with it, also while it is read."""
    try:
        with tarfile.open(file, mode=_mode(media_type)) as tar:
            yield tar
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BuildFailedError("image-invalid", f"a layer cannot be read: {error}") from error


def _mode(media_type: str) -> Literal["r|", "r|gz"]:
    if media_type.endswith(("tar+gzip", "tar.gzip")):
        return "r|gz"
    if media_type.endswith(".tar"):
        return "r|"
    raise BuildFailedError("image-invalid", f"layers of type {media_type[:200]!r} are not read")


def _look(tar: tarfile.TarFile, seen: Looked) -> None:
    notes = Notes()
    for member in members_of(tar):
        path = PurePosixPath(name_of(member))
        name = str(path)
        wanted = member.isreg() and notes.wants(name, member.size)
        text = member.isreg() and _is_text(name, path)
        content = content_of(tar, member) if wanted or text else b""
        if wanted:
            notes.take(name, content)
        if path.name == _OPAQUE:
            seen.remove(str(path.parent))
        elif path.name.startswith(_WHITEOUT):
            seen.remove(str(path.parent / path.name.removeprefix(_WHITEOUT)))
        elif text:
            seen.texts[name] = content.decode(errors="replace")
        elif _is_program(path) and (member.isreg() or member.issym() or member.islnk()):
            seen.names[name] = member.linkname if not member.isreg() else ""
        elif member.issym():
            seen.names[name] = member.linkname
    seen.contents.append(notes.contents())


def members_of(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        if count > _MOST_ENTRIES:
            raise tarfile.ReadError(f"more than {_MOST_ENTRIES} entries")
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # it keeps all that it has read


def _is_text(name: str, path: PurePosixPath) -> bool:
    return name in _TEXTS or (_HEADER in name and path.name == "patchlevel.h")


def _is_program(path: PurePosixPath) -> bool:
    name = path.name
    if path.parent.name in {"bin", "sbin"}:
        return name.startswith("python3") or name in {"bash", "sh", "python"}
    return name.startswith(("libc.so.", "libc-2.", "ld-musl-", "ld-linux"))


def name_of(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").lstrip("/")


def content_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """A second look at the same member is not possible: the file is read as a stream."""
    file = tar.extractfile(member)
    if file is None or member.size > _MOST_TEXT:
        raise tarfile.ReadError(f"{member.name} has {member.size} bytes")
    return file.read()
