"""Chunks of a far store, kept on the local disk: as many as fit, each fetched once at a time."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from libs.chassis.blobs.store import Blob
from libs.chassis.metrics import REGISTRY

_READS: Final = Counter(
    "yokocho_blob_cache_reads",
    "Chunks asked of the cache in front of S3: hit, miss or joined to a miss",
    ("outcome",),
    registry=REGISTRY,
)
_BYTES: Final = Gauge(
    "yokocho_blob_cache_bytes", "What the cache in front of S3 holds", registry=REGISTRY
)
_log = structlog.get_logger()

Fetch = Callable[[], Awaitable[bytes]]


class ChunkCache:
    """Everything that leaves was checked against the blob's own sums: a damaged file is a miss.

    Nothing is flushed and nothing must last. One process has a folder to itself.
    """

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        self._root = root
        self._limit = limit_bytes
        self._files: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        self._fetching: dict[str, asyncio.Task[bytes]] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, root: Path, *, limit_bytes: int) -> AsyncIterator["ChunkCache"]:
        cache = cls(root, limit_bytes=limit_bytes)
        await asyncio.to_thread(cache._load)
        try:
            yield cache
        finally:
            under_way = list(cache._fetching.values())
            for each in under_way:
                each.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def get(self, blob: Blob, index: int, fetch: Fetch) -> bytes:
        """``fetch`` gives a chunk that is right. Whoever asks for the same one meanwhile waits."""
        name = f"{blob.digest.removeprefix('sha256:')}-{index}"
        if name in self._files:
            chunk = await asyncio.to_thread(self._read, name)
            if chunk is not None and blob.is_right(index, chunk):
                _READS.labels("hit").inc()
                return chunk
            self._forget(name)
        task = self._fetching.get(name)
        _READS.labels("miss" if task is None else "joined").inc()
        if task is None:
            task = self._fetching[name] = asyncio.create_task(self._fetched(name, fetch))
        # Whoever goes away leaves the others their answer.
        return await asyncio.shield(task)

    async def _fetched(self, name: str, fetch: Fetch) -> bytes:
        try:
            chunk = await fetch()
            if len(chunk) <= self._limit:
                await self._keep(name, chunk)
            return chunk
        finally:
            del self._fetching[name]

    async def _keep(self, name: str, chunk: bytes) -> None:
        """A disk that is full or broken costs speed, and no answer."""
        try:
            await asyncio.to_thread(self._write, name, chunk)
        except OSError as error:
            _log.warning("blob_cache.not_written", reason=str(error))
        else:
            self._remember(name, len(chunk))

    def _remember(self, name: str, size: int) -> None:
        self._files[name] = size
        self._bytes += size
        while self._bytes > self._limit:
            self._forget(next(iter(self._files)))
        _BYTES.set(self._bytes)

    def _forget(self, name: str) -> None:
        self._bytes -= self._files.pop(name, 0)
        with suppress(OSError):
            self._path(name).unlink()

    def _read(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def _write(self, name: str, chunk: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(chunk)
        partial.rename(path)

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name

    def _load(self) -> None:
        """The oldest first, as far as their times tell."""
        self._root.mkdir(parents=True, exist_ok=True)
        found: list[os.DirEntry[str]] = []
        for folder in self._root.iterdir():
            found += [each for each in os.scandir(folder) if not each.name.endswith(".partial")]
        for each in sorted(found, key=lambda entry: entry.stat().st_mtime):
            self._remember(each.name, each.stat().st_size)
