"""Files of an exported image, where they lie: in a folder or in a tar that is never unpacked.

Whoever made it may have meant harm: nothing is read that is not a plain file inside, and no more of
it than was asked for.
"""

import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol

from typing_extensions import override

from services.builder.errors import BuildFailedError

_ENTRIES: Final = 20_000
_AT_ONCE: Final = 64 * 2**10
"""Headers are read in small pieces, so this is one that says it is larger."""
_HEADERS: Final = 2**20
"""Of one entry, all together."""
_HOPS: Final = 8
_PIECE: Final = 2**20


class Shelf(Protocol):
    def size(self, name: str) -> int | None:
        """``None`` where there is no such file."""
        ...

    def read(self, name: str, *, limit: int) -> bytes: ...

    def pieces(self, name: str) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class FolderShelf:
    """Links are not followed, wherever in a path they are."""

    def __init__(self, folder: Path) -> None:
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def size(self, name: str) -> int | None:
        opened = self._open(name)
        if opened is None:
            return None
        with opened:
            return os.fstat(opened.fileno()).st_size

    def read(self, name: str, *, limit: int) -> bytes:
        with self._require(name) as file:
            return require_small(name, file.read(limit + 1), limit)

    def pieces(self, name: str) -> Iterator[bytes]:
        with self._require(name) as file:
            while piece := file.read(_PIECE):
                yield piece

    def close(self) -> None:
        os.close(self._root)

    def _require(self, name: str) -> io.FileIO:
        opened = self._open(name)
        if opened is None:
            raise invalid(f"there is no {name[:200]!r}")
        return opened

    def _open(self, name: str) -> io.FileIO | None:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            return None
        *folders, last = path.parts
        above = self._root
        try:
            for each in folders:
                following = os.open(each, _FOLDER, dir_fd=above)
                if above != self._root:
                    os.close(above)
                above = following
            file = os.open(last, _FILE, dir_fd=above)
        except OSError:
            return None
        finally:
            if above != self._root:
                os.close(above)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            return None
        return io.FileIO(file, "rb")


_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe that nobody writes to would be waited for."""


class TarShelf:
    """``file`` stays the caller's, and open as long as this is used."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._end = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            self._walk()
        except (tarfile.TarError, RecursionError, ValueError, OverflowError) as error:
            raise invalid(f"it is no tar that can be read: {str(error)[:200]}") from error

    def size(self, name: str) -> int | None:
        place = self._places.get(self._resolved(name))
        return None if place is None else place[1]

    def read(self, name: str, *, limit: int) -> bytes:
        first, size = self._place(name)
        return require_small(name, self._at(first, min(size, limit + 1)), limit)

    def pieces(self, name: str) -> Iterator[bytes]:
        first, size = self._place(name)
        for at in range(0, size, _PIECE):
            yield self._at(first + at, min(_PIECE, size - at))

    def close(self) -> None:
        """The file is the caller's."""

    def _place(self, name: str) -> tuple[int, int]:
        place = self._places.get(self._resolved(name))
        if place is None:
            raise invalid(f"there is no {name[:200]!r}")
        return place

    def _at(self, first: int, size: int) -> bytes:
        with self._lock:  # several layers are read beside each other
            self._file.seek(first)
            content = self._file.read(size)
        if len(content) != size:
            raise invalid("it ends too early")
        return content

    def _resolved(self, name: str) -> str:
        """``docker save`` once linked a layer that it had written before."""
        for _ in range(_HOPS):
            if name not in self._links:
                break
            parts = [*PurePosixPath(name).parent.parts]
            for part in PurePosixPath(self._links[name]).parts:
                if part != "..":
                    parts.append(part)
                elif parts:
                    parts.pop()
                else:
                    raise invalid(f"{name[:200]!r} leads outside")
            name = "/".join(parts)
        return name

    def _walk(self) -> None:
        reader = _Bounded(self._file)
        with tarfile.open(fileobj=reader, mode="r:") as tar:
            for _ in range(_ENTRIES):
                if (member := tar.next()) is None:
                    return
                self._note(member)
                reader.read_so_far = 0
                tar.members.clear()  # type: ignore[attr-defined]  # it keeps all that it has read
        raise invalid(f"it has more than {_ENTRIES} entries")

    def _note(self, member: tarfile.TarInfo) -> None:
        path = PurePosixPath(member.name)
        name = str(path)
        if path.is_absolute() or ".." in path.parts or member.issparse():
            raise invalid(f"it holds {member.name[:200]!r}")
        if member.isdir():
            return
        if name in self._places or name in self._links:
            raise invalid(f"it holds {member.name[:200]!r} twice")
        if member.issym():
            if member.linkname.startswith("/"):
                raise invalid(f"{member.name[:200]!r} leads outside")
            self._links[name] = member.linkname
        elif member.islnk():
            self._places[name] = self._place(str(PurePosixPath(member.linkname)))
        elif member.isreg() and 0 <= member.size <= self._end - member.offset_data:
            self._places[name] = (member.offset_data, member.size)
        else:
            raise invalid(f"it holds {member.name[:200]!r}, or not all of it")


class _Bounded(io.RawIOBase):
    """What tarfile reads of headers, never much at once. Closing it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._inner = file
        self.read_so_far = 0

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _AT_ONCE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.read_so_far += size
        if self.read_so_far > _HEADERS:
            raise tarfile.ReadError(f"headers of more than {_HEADERS} bytes")
        return self._inner.read(size)

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._inner.seek(offset, whence)

    @override
    def tell(self) -> int:
        return self._inner.tell()

    @override
    def seekable(self) -> bool:
        return True


def require_small(name: str, content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise invalid(f"{name[:200]!r} has more than {limit} bytes")
    return content


def invalid(why: str) -> BuildFailedError:
    return BuildFailedError("image-invalid", f"the image cannot be imported: {why}")
