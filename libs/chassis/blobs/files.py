"""Blobs on a file system."""

import asyncio
import errno
import fcntl
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

from uuid_utils.compat import uuid7

from libs.chassis.blobs.errors import BlobDamagedError, NoSpaceError
from libs.chassis.blobs.receiving import Receiving, in_thread
from libs.chassis.blobs.store import CHUNK, Blob, Observer, Stored

_FLUSH_EVERY: Final = 64 * 2**20
_BLOCK: Final = 4096
"""What is written past the page cache begins and ends with one."""
_RESERVE: Final = 64 * 2**20
"""Left free for everything else that must go on writing on a full disk."""
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class FileBlobs:
    """A file appears below ``sha256`` when its bytes are on the disk. Its name tells its digest."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "sha256"
        self._staging = root / "receiving"
        self._quarantine = root / "quarantine"
        for each in (self._folder, self._staging, self._quarantine):
            each.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Forget what a process that died was receiving. Only before anything is received."""
        for each in self._staging.iterdir():
            each.unlink()

    def require(self, size: int) -> None:
        room = os.statvfs(self._staging)
        free = room.f_bavail * room.f_frsize - _RESERVE
        if size > free:
            raise NoSpaceError(size, free)

    @asynccontextmanager
    async def receive(
        self, observer: Observer | None = None, *, size: int | None = None, hot: bool = False
    ) -> AsyncIterator[Receiving]:
        with NamedTemporaryFile(dir=self._staging, delete=False, buffering=0) as file:
            path = Path(file.name)
            sink = _FileSink(file, path, root=self._root, hot=hot)
            receiving = Receiving(sink, observer, expected=size)
            try:
                yield receiving
            finally:
                await receiving.abandon()
                path.unlink(missing_ok=True)

    async def read(
        self, blob: Blob, *, first: int = 0, length: int | None = None, fresh: bool = False
    ) -> AsyncGenerator[bytes, None]:
        del fresh
        end = blob.size_bytes if length is None else min(first + length, blob.size_bytes)
        with self._open(blob) as file:
            for at in range(first // CHUNK * CHUNK, end, CHUNK):
                chunk = await asyncio.to_thread(_pread, file, at)
                if not blob.is_right(at // CHUNK, chunk):
                    raise BlobDamagedError(f"{blob.digest} is damaged at byte {at}", at=at)
                yield chunk[max(first - at, 0) : end - at]

    async def remove(self, location: str) -> None:
        await asyncio.to_thread((self._root / location).unlink, missing_ok=True)

    async def quarantine(self, location: str) -> None:
        with suppress(FileNotFoundError):
            (self._root / location).rename(self._quarantine / Path(location).name)

    @property
    def direct(self) -> None:
        """A folder is reached by nobody else."""

    async def forget_before(self, since: datetime) -> int:
        old = [each for each in self._staging.iterdir() if _changed(each) <= since]
        for each in old:
            each.unlink(missing_ok=True)
        return len(old)

    async def everything(self) -> AsyncIterator[Stored]:
        for folder in await asyncio.to_thread(lambda: sorted(self._folder.iterdir())):
            for each in await asyncio.to_thread(self._list, folder):
                yield each

    def _list(self, folder: Path) -> list[Stored]:
        found = []
        for each in folder.iterdir():
            with suppress(FileNotFoundError):
                about = each.stat()
                at = datetime.fromtimestamp(about.st_ctime, UTC)
                found.append(Stored(str(each.relative_to(self._root)), about.st_size, at))
        return found

    @contextmanager
    def _open(self, blob: Blob) -> Iterator[IO[bytes]]:
        try:
            file = (self._root / blob.location).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise BlobDamagedError(f"the bytes of {blob.digest} are gone") from error
        with file:
            yield file


class _FileSink:
    """What nobody will read soon goes past the page cache: that costs a tenth of the time.

    The rest is flushed every 64 MiB beside the writing: disk and processors are busy together.
    """

    def __init__(self, file: IO[bytes], path: Path, *, root: Path, hot: bool) -> None:
        self._file = file
        self._path = path
        self._root = root
        self._hot = hot
        self._direct = not hot and _go_direct(file, on=True)
        self._unflushed = 0
        self._size = 0
        self._flushing: asyncio.Future[None] | None = None

    def write(self, chunk: memoryview) -> None:
        self._size += len(chunk)
        with self._room():
            rest = self._past_the_cache(chunk) if self._direct else chunk
            self._unflushed += len(rest)
            while rest:
                rest = rest[self._file.write(rest) :]

    def _past_the_cache(self, chunk: memoryview) -> memoryview:
        """What is left of ``chunk``: the end of a file fills no block, and not every disk will."""
        rest = chunk
        try:
            while rest and len(rest) % _BLOCK == 0:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        if rest:
            self._direct = _go_direct(self._file, on=False)
        return rest

    async def advance(self) -> None:
        if self._unflushed >= _FLUSH_EVERY:
            await self._flushed()
            self._unflushed = 0
            self._flushing = in_thread(self._flush)

    async def complete(self, digest: str, size: int) -> str:
        del size
        await self._flushed()
        return await asyncio.to_thread(self._publish, digest)

    async def abandon(self) -> None:
        with suppress(Exception):
            await self._flushed()

    async def _flushed(self) -> None:
        if self._flushing is not None:
            flushing, self._flushing = self._flushing, None
            await flushing

    def _flush(self) -> None:
        with self._room():
            os.fdatasync(self._file.fileno())
            if not self._hot:
                _let_go(self._file)

    def _publish(self, digest: str) -> str:
        name = digest.removeprefix("sha256:")
        target = self._root / "sha256" / name[:2] / f"{name}-{uuid7().hex}"
        with self._room():
            os.fdatasync(self._file.fileno())
            if not target.parent.exists():
                target.parent.mkdir(exist_ok=True)
                _sync_folder(target.parent.parent)
            target.hardlink_to(self._path)
            _sync_folder(target.parent)
        return str(target.relative_to(self._root))

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoSpaceError(self._size, 0) from error
            raise


def _pread(file: IO[bytes], at: int) -> bytes:
    """A disk that gives an error instead of bytes gives none: their check fails."""
    try:
        return os.pread(file.fileno(), CHUNK, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def _changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)


def _go_direct(file: IO[bytes], *, on: bool) -> bool:
    """Whether what is written next goes past the page cache."""
    direct = getattr(os, "O_DIRECT", 0)
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | direct if on else flags & ~direct)
    except OSError:  # a file system that knows nothing of it
        return False
    return on and direct != 0


def _let_go(file: IO[bytes]) -> None:
    """Written pages are clean: a big upload uses them again, and pushes nobody else's out."""
    if sys.platform == "linux":
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
