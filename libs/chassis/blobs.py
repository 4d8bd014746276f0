"""Bytes by their digest, on a file system: hashed while received, checked before they leave."""

import asyncio
import errno
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, ClassVar, Final, Protocol

import xxhash

from libs.chassis.errors import Kind, ServiceError

CHUNK: Final = 4 * 2**20
"""Bytes under one XXH3-128: what is read, checked and sent at a time."""
_FLUSH_EVERY: Final = 64 * 2**20
_RESERVE: Final = 64 * 2**20
"""Left free for everything else that must go on writing on a full disk."""
_CHECK: Final = 16
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class NoSpaceError(ServiceError):
    kind: ClassVar[Kind] = Kind.NO_SPACE
    code: ClassVar[str] = "no-space"
    title: ClassVar[str] = "There is not enough space left"

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(
            f"no space left: {needed} bytes are needed, {max(free, 0)} are free; "
            "make room and push again",
            needed=needed,
            free=max(free, 0),
        )


class BlobDamagedError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "blob-damaged"
    title: ClassVar[str] = "Stored bytes are not those that were received"


@dataclass(frozen=True, slots=True)
class Blob:
    """``chunks`` holds 16 bytes of XXH3-128 for each 4 MiB."""

    digest: str
    size_bytes: int
    chunks: bytes


class Observer(Protocol):
    """Sees every byte on its way to the disk; an exception refuses the whole."""

    def feed(self, chunk: memoryview) -> None:
        """``chunk`` is only lent: its memory is used again."""


class FileBlobs:
    """Complete blobs only: a name appears when its bytes are on the disk."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sha256"
        self._staging = root / "receiving"
        for each in (self._folder, self._staging):
            each.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Forget what a process that died was receiving. Only before anything is received."""
        for each in self._staging.iterdir():
            each.unlink()

    def require(self, size: int) -> None:
        """Raises ``NoSpaceError`` when ``size`` more bytes would fill the disk."""
        room = os.statvfs(self._staging)
        free = room.f_bavail * room.f_frsize - _RESERVE
        if size > free:
            raise NoSpaceError(size, free)

    @asynccontextmanager
    async def receive(self, observer: Observer) -> AsyncIterator["Receiving"]:
        """Write, then ``commit``; without that nothing stays."""
        with NamedTemporaryFile(dir=self._staging, delete=False, buffering=0) as file:
            path = Path(file.name)
            receiving = Receiving(file, path, folder=self._folder, observer=observer)
            try:
                yield receiving
            finally:
                await receiving.abandon()
                path.unlink(missing_ok=True)

    async def adopt(self, path: Path, digest: str) -> Blob | None:
        """Rename a file that nobody writes to any more. None when its digest is another."""
        return await asyncio.to_thread(self._adopt, path, digest)

    def _adopt(self, path: Path, digest: str) -> Blob | None:
        sha, chunks, size = hashlib.sha256(), bytearray(), 0
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                sha.update(chunk)
                chunks += xxhash.xxh3_128_digest(chunk)
                size += len(chunk)
            os.fdatasync(file.fileno())
        if digest != f"sha256:{sha.hexdigest()}":
            return None
        target = _prepared(self._folder, digest)
        path.rename(target)
        _sync_folder(target.parent)
        return Blob(digest, size, bytes(chunks))

    async def read(
        self, blob: Blob, *, first: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """All of it, or ``length`` bytes from ``first``.

        Every chunk is checked before any of it leaves; a damaged one breaks the answer off.
        """
        end = blob.size_bytes if length is None else min(first + length, blob.size_bytes)
        with self._open(blob.digest) as file:
            for at in range(first // CHUNK * CHUNK, end, CHUNK):
                chunk = await asyncio.to_thread(os.pread, file.fileno(), CHUNK, at)
                place = at // CHUNK * _CHECK
                if xxhash.xxh3_128_digest(chunk) != blob.chunks[place : place + _CHECK]:
                    raise BlobDamagedError(f"{blob.digest} is damaged at byte {at}")
                yield chunk[max(first - at, 0) : end - at]

    @contextmanager
    def _open(self, digest: str) -> Iterator[IO[bytes]]:
        try:
            file = _place(self._folder, digest).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise BlobDamagedError(f"the bytes of {digest} are gone") from error
        with file:
            yield file


class Receiving:
    """One blob on its way in. Hashing and writing happen in threads, beside the receiving.

    Two buffers take turns: fresh memory for every chunk costs more than hashing it.
    """

    def __init__(self, file: IO[bytes], path: Path, *, folder: Path, observer: Observer) -> None:
        self._file = file
        self._path = path
        self._folder = folder
        self._observer = observer
        self._sha = hashlib.sha256()
        self._chunks = bytearray()
        self._filling, self._resting = bytearray(CHUNK), bytearray(CHUNK)
        self._filled = 0
        self._size = 0
        self._unflushed = 0
        self._writing: asyncio.Future[None] | None = None
        self._flushing: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Raises what the observer says, and ``NoSpaceError``."""
        self._size += len(data)
        rest = memoryview(data)
        while rest:
            taken = rest[: CHUNK - self._filled]
            self._filling[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == CHUNK:
                await self._store()

    async def commit(self) -> Blob:
        """Durable under its digest. Idempotent: the same bytes are one file."""
        if self._filled:
            await self._store()
        await self._settled()
        await self._flushed()
        digest = f"sha256:{self._sha.hexdigest()}"
        with self._room():
            await asyncio.to_thread(self._publish, digest)
        return Blob(digest, self._size, bytes(self._chunks))

    async def abandon(self) -> None:
        """Wait for what is still under way; its outcome matters no more."""
        for each in (self._writing, self._flushing):
            if each is not None:
                with suppress(Exception):
                    await each

    async def _store(self) -> None:
        """Hand what was filled to a thread, once the chunk before it is written."""
        await self._settled()
        if self._unflushed >= _FLUSH_EVERY:
            await self._flushed()
            self._unflushed = 0
            self._flushing = self._in_thread(self._flush)
        chunk = memoryview(self._filling)[: self._filled]
        self._unflushed += len(chunk)
        self._filling, self._resting, self._filled = self._resting, self._filling, 0
        self._writing = self._in_thread(partial(self._put, chunk))

    @staticmethod
    def _in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(None, work)

    async def _settled(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            with self._room():
                await writing

    async def _flushed(self) -> None:
        if self._flushing is not None:
            flushing, self._flushing = self._flushing, None
            with self._room():
                await flushing

    def _put(self, chunk: memoryview) -> None:
        self._observer.feed(chunk)
        self._sha.update(chunk)
        self._chunks += xxhash.xxh3_128_digest(chunk)
        rest = chunk
        while rest:
            rest = rest[self._file.write(rest) :]

    def _flush(self) -> None:
        """Beside the writing, so that the disk and the processors are busy at the same time."""
        os.fdatasync(self._file.fileno())
        _let_go(self._file)

    def _publish(self, digest: str) -> None:
        os.fdatasync(self._file.fileno())
        target = _prepared(self._folder, digest)
        with suppress(FileExistsError):
            target.hardlink_to(self._path)
        _sync_folder(target.parent)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoSpaceError(self._size, 0) from error
            raise


def _place(folder: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return folder / name[:2] / name


def _prepared(folder: Path, digest: str) -> Path:
    """Where a blob is put, in a folder that outlasts a power cut."""
    target = _place(folder, digest)
    if not target.parent.exists():
        target.parent.mkdir(exist_ok=True)
        _sync_folder(folder)
    return target


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
