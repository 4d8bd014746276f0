"""Layers of an image become a folder, as a container would see them: no byte lands outside of it.

A layer may be anybody's. Links are resolved as if the folder were the root of the file system;
owners, devices and rights beyond those of reading and running are left out.
"""

import errno
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final, Self

from typing_extensions import override

from services.builder.errors import BuildFailedError

_MOST_ENTRIES: Final = 2_000_000
_MOST_BYTES: Final = 2**38
_MOST_LINKS: Final = 40
_LONGEST_HEADER: Final = 2**20
_CHUNK: Final = 2**20
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_OF_AUFS: Final = ".wh..wh."
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE})
_HEADERS: Final = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)
_GIVEN: Final = ("hosts", "resolv.conf")
"""What whoever runs an image puts files of the machine over."""


def unpack_layers(layers: Iterable[tuple[Path, str, str]], root: Path) -> None:
    """``layers`` are files with media types and what the config says of them, the lowest first.

    Raises ``BuildFailedError`` for what is no layer, or another than it should be.
    """
    root.mkdir(parents=True)
    tree = _Tree(root.resolve())
    for file, media_type, diff_id in layers:
        try:
            with file.open("rb") as raw:
                _apply(tree, _Read(_inflated(raw, media_type)), diff_id)
        except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            raise BuildFailedError("image-invalid", f"a layer is no such: {error}") from error
    tree.furnish()


def _inflated(raw: BinaryIO, media_type: str) -> IO[bytes]:
    if media_type.endswith(("tar+gzip", "tar.gzip")):
        return gzip.open(raw)  # type: ignore[return-value] # it reads as a file does
    if media_type.endswith(".tar"):
        return raw
    raise BuildFailedError("image-invalid", f"layers of type {media_type[:200]!r} are not read")


class _Read:
    """What a layer says, with its digest."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._sum = hashlib.sha256()
        self._total = 0

    def read(self, size: int) -> bytes:
        content = self._below.read(size)
        self._total += len(content)
        if self._total > _MOST_BYTES:
            raise tarfile.ReadError(f"more than {_MOST_BYTES} bytes")
        self._sum.update(content)
        return content

    def rest(self) -> str:
        """The digest, when all has been read."""
        while self.read(_CHUNK):
            pass
        return f"sha256:{self._sum.hexdigest()}"


class _Member(tarfile.TarInfo):
    @classmethod
    @override
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


def _apply(tree: "_Tree", content: _Read, diff_id: str) -> None:
    tree.begin()
    with tarfile.open(fileobj=content, mode="r|", tarinfo=_Member) as tar:  # type: ignore[call-overload] # it only reads
        for count, member in enumerate(tar):
            if count > _MOST_ENTRIES:
                raise tarfile.ReadError(f"more than {_MOST_ENTRIES} entries")
            tree.add(member, tar)
            tar.members.clear()  # it keeps all that it has read
    if (found := content.rest()) != diff_id:
        raise tarfile.ReadError(f"it is {found}, and not {diff_id[:100]}")


@dataclass(slots=True)
class _Tree:
    """``own`` is what the layer at hand brought, and the way there: its whiteouts spare that."""

    root: Path
    own: set[Path] = field(default_factory=set)

    def begin(self) -> None:
        self.own.clear()

    def add(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        parts = _parts(member.name)
        if not parts:
            return
        *above, name = parts
        if name.startswith(_WHITEOUT):
            self._white_out(above, name)
            return
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            return  # a device: the machine's own are shown
        source = self._linked(member) if member.islnk() else None
        path = self._folder(above) / name
        if not (member.isdir() and _is_folder(path)):
            _remove(path)
        if source is not None:
            path.hardlink_to(source)
        elif member.issym():
            path.symlink_to(member.linkname)
        elif member.isdir():
            path.mkdir(exist_ok=True)
        else:
            _write(path, tar.extractfile(member), executable=bool(member.mode & stat.S_IXUSR))
        self._bring(path)

    def furnish(self) -> None:
        """Empty files that others can be put over."""
        folder = self.root / "etc"
        for name in _GIVEN if _is_folder(folder) else ():
            if not os.path.lexists(folder / name):
                (folder / name).touch()

    def _bring(self, path: Path) -> None:
        while path != self.root and path not in self.own:
            self.own.add(path)
            path = path.parent

    def _white_out(self, above: Sequence[str], name: str) -> None:
        folder = self._found(above)
        if folder is None:
            return
        if name == _OPAQUE:
            for each in sorted(folder.iterdir()):
                self._remove_lower(each)
        elif not name.startswith(_OF_AUFS):
            hidden = name.removeprefix(_WHITEOUT)
            if hidden in {"", ".", ".."}:
                raise tarfile.ReadError(f"it removes {hidden!r}")
            self._remove_lower(folder / hidden)

    def _remove_lower(self, path: Path) -> None:
        """What the layer at hand brought itself stays, and the folders it is in."""
        if path not in self.own:
            _remove(path)
        elif _is_folder(path):
            for each in sorted(path.iterdir()):
                self._remove_lower(each)

    def _linked(self, member: tarfile.TarInfo) -> Path:
        *above, name = _parts(member.linkname) or ("",)
        folder = self._found(above)
        source = folder / name if folder is not None else None
        if source is None or not os.path.lexists(source) or _is_folder(source):
            raise tarfile.ReadError(f"{member.name[:200]!r} links to no file")
        return source

    def _found(self, parts: Sequence[str]) -> Path | None:
        """A folder that is there, whatever links lead to it."""
        try:
            return self._walk(parts, make=False)
        except NotADirectoryError:
            return None

    def _folder(self, parts: Sequence[str]) -> Path:
        return self._walk(parts, make=True)

    def _walk(self, parts: Sequence[str], *, make: bool) -> Path:
        at, left, links = self.root, list(reversed(parts)), 0
        while left:
            part = left.pop()
            if part == "..":
                at = at.parent if at != self.root else at
                continue
            path = at / part
            if path.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    raise tarfile.ReadError(f"too many links to {'/'.join(parts)[:200]!r}")
                target = PurePosixPath(path.readlink())
                at = self.root if target.is_absolute() else at
                left += [each for each in reversed(target.parts) if each != "/"]
                continue
            if make and not os.path.lexists(path):
                path.mkdir()
                self._bring(path)
            if not path.is_dir():
                raise NotADirectoryError(f"{part[:200]!r} is no folder")
            at = path
        return at


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(each for each in PurePosixPath(name).parts if each != "/")
    if ".." in parts or "//" in parts:
        raise tarfile.ReadError(f"it holds {name[:200]!r}")
    return parts


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, content: IO[bytes] | None, *, executable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o755 if executable else 0o644), "wb") as out:
        for chunk in _chunks(content):
            out.write(chunk)


def _chunks(content: IO[bytes] | None) -> Iterator[bytes]:
    while content is not None and (chunk := content.read(_CHUNK)):
        yield chunk
