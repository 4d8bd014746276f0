"""One blob on its way in, into whatever store."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from mmap import mmap
from typing import Protocol

import xxhash

from libs.chassis.blobs.store import CHUNK, Blob, Observer


class Sink(Protocol):
    """Takes the chunks in order: each in a thread, one at a time."""

    def write(self, chunk: memoryview) -> None:
        """``chunk`` is only lent."""

    async def advance(self) -> None:
        """After each chunk, in the loop: begin what may go on beside the next one."""

    async def complete(self, digest: str, size: int) -> str:
        """Make all of it last. Its location."""

    async def abandon(self) -> None:
        """Leave nothing behind, and wait until nothing goes on. After ``complete`` harmless."""


class Receiving:
    """Hashing and writing happen in threads, beside the receiving.

    Two buffers take turns: fresh memory for every chunk costs more than hashing it.
    """

    def __init__(self, sink: Sink, observer: Observer | None, *, expected: int | None) -> None:
        self._sink = sink
        self._observer = observer
        self._sha = hashlib.sha256()
        self._chunks = bytearray()
        # What is small needs no big buffers, and most images have many small parts.
        room = CHUNK if expected is None else max(1, min(expected, CHUNK))
        self._filling, self._resting = _buffer(room), _buffer(0)
        self._filled = 0
        self._size = 0
        self._writing: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Raises what the observer and the store say."""
        self._size += len(data)
        rest = memoryview(data)
        while rest:
            if self._filled == len(self._filling):
                self._grow()
            taken = rest[: len(self._filling) - self._filled]
            self._filling[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == CHUNK:
                await self._store()

    async def commit(self) -> Blob:
        """Durable at a location of its own, for the caller to remember or to remove."""
        if self._filled:
            await self._store()
        await self._settled()
        digest = f"sha256:{self._sha.hexdigest()}"
        location = await self._sink.complete(digest, self._size)
        return Blob(digest, self._size, bytes(self._chunks), location)

    async def abandon(self) -> None:
        """Wait for what is still under way; its outcome matters no more."""
        if self._writing is not None:
            with suppress(Exception):
                await self._writing
        await self._sink.abandon()

    async def _store(self) -> None:
        """Hand what was filled to a thread, once the chunk before it is written."""
        await self._settled()
        chunk = self._filling[: self._filled]
        resting = self._resting or _buffer(CHUNK if self._filled == CHUNK else 1)
        self._filling, self._resting, self._filled = resting, self._filling, 0
        self._writing = in_thread(partial(self._put, chunk))

    def _grow(self) -> None:
        """More comes than was said."""
        larger = _buffer(CHUNK)
        larger[: self._filled] = self._filling[: self._filled]
        self._filling = larger

    async def _settled(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
            await self._sink.advance()

    def _put(self, chunk: memoryview) -> None:
        if self._observer is not None:
            self._observer.feed(chunk)
        self._sha.update(chunk)
        self._chunks += xxhash.xxh3_128_digest(chunk)
        self._sink.write(chunk)


def _buffer(size: int) -> memoryview:
    """Whole chunks begin at a page: so disks can be written from them without a copy."""
    return memoryview(mmap(-1, size) if size == CHUNK else bytearray(size))


def in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """It goes on while nobody waits for it."""
    return asyncio.get_running_loop().run_in_executor(None, work)
