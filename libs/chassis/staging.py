"""Bytes that come in pieces, over several requests and restarts, until they are a blob."""

import asyncio
import errno
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, ClassVar, Final

from libs.chassis.blobs import CHUNK, NoSpaceError
from libs.chassis.errors import Kind, ServiceError

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class UploadBusyError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "upload-busy"
    title: ClassVar[str] = "Somebody else is sending bytes to this upload"


class Staging:
    """A file per upload, beside the blobs: what becomes one is renamed, not copied."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "uploads"
        self._folder.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return [each.name for each in self._folder.iterdir()]

    def create(self, name: str) -> None:
        (self._folder / name).touch(mode=0o600, exist_ok=False)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator["Staged"]:
        """Nobody else writes meanwhile. Raises ``FileNotFoundError`` and ``UploadBusyError``."""
        with self._locked(self._folder / name) as (file, path):
            yield Staged(file, path)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[tuple[IO[bytes], Path]]:
        """The kernel ends the lock of a process that died."""
        with path.open("r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UploadBusyError("another request is sending bytes to this upload") from error
            # Opened before it was renamed and locked after: a blob, which nobody may write to.
            if path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                raise FileNotFoundError(path)
            yield file, path


class Staged:
    """An upload's file, held by one request."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self.path = path

    def cut(self, size: int) -> None:
        """Forget what came after the last piece that was recorded; that one was synced."""
        if os.fstat(self._file.fileno()).st_size < size:
            raise FileNotFoundError(self.path)
        self._file.truncate(size)
        self._file.seek(size)

    async def kept_as(self, digest: str) -> str | None:
        """The sha256 of the bytes; None when they are not those of ``digest``."""
        return await asyncio.to_thread(self._kept_as, digest)

    def _kept_as(self, digest: str) -> str | None:
        asked, kept = hashlib.new(digest.partition(":")[0]), hashlib.sha256()
        with self.path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                asked.update(chunk)
                kept.update(chunk)
        found = f"{asked.name}:{asked.hexdigest()}"
        return f"sha256:{kept.hexdigest()}" if found == digest else None

    async def append(self, chunks: AsyncIterator[bytes]) -> int:
        """How many bytes ``chunks`` were, once they are on the disk."""
        written, waiting = 0, bytearray()
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= CHUNK:
                written += await asyncio.to_thread(self._write, bytes(waiting))
                waiting.clear()
        written += await asyncio.to_thread(self._write, bytes(waiting))
        await asyncio.to_thread(os.fdatasync, self._file.fileno())
        return written

    def _write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoSpaceError(len(data), 0) from error
            raise
        return len(data)
