"""What every store of blobs promises; tests/adapters/blobs holds each of them to it."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

import xxhash

if TYPE_CHECKING:
    from libs.chassis.blobs.direct import Direct
    from libs.chassis.blobs.receiving import Receiving

CHUNK: Final = 4 * 2**20
"""Bytes under one XXH3-128: what is read, checked and sent at a time."""
CHECK: Final = 16
"""Length of one XXH3-128."""


@dataclass(frozen=True, slots=True)
class Blob:
    """``chunks`` holds 16 bytes of XXH3-128 for each 4 MiB; ``location`` is the store's own."""

    digest: str
    size_bytes: int
    chunks: bytes
    location: str

    def is_right(self, index: int, chunk: bytes) -> bool:
        """Whether ``chunk`` is the one that was received at ``index``."""
        place = index * CHECK
        return xxhash.xxh3_128_digest(chunk) == self.chunks[place : place + CHECK]


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies somewhere in a store, known to a database or not."""

    location: str
    size_bytes: int
    changed_at: datetime


class Observer(Protocol):
    """Sees every byte on its way in; an exception refuses the whole."""

    def feed(self, chunk: memoryview) -> None:
        """``chunk`` is only lent: its memory is used again."""


class BlobStore(Protocol):
    """Raises ``BlobsUnavailableError`` wherever it is asked, and nothing is lost by that."""

    def require(self, size: int) -> None:
        """Raises ``NoSpaceError`` where it is known that ``size`` more bytes do not fit."""

    def receive(
        self, observer: Observer | None = None, *, size: int | None = None, hot: bool = False
    ) -> AbstractAsyncContextManager["Receiving"]:
        """Write, then ``commit``; without that nothing stays.

        ``size`` is what is expected; ``hot``: it will be read soon, so memory may be spent on it.
        """

    def read(
        self, blob: Blob, *, first: int = 0, length: int | None = None, fresh: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """All of it, or ``length`` bytes from ``first``; ``fresh``: past any cache.

        Every chunk is checked before any of it leaves; a damaged one raises
        ``BlobDamagedError`` in its place.
        """

    async def remove(self, location: str) -> None:
        """Idempotent. Whoever reads it at this moment may be cut off."""

    async def quarantine(self, location: str) -> None:
        """Keep it for people to look at, where nothing reads it. Idempotent."""

    @property
    def direct(self) -> "Direct | None":
        """How clients send to the store by themselves, where they can."""

    async def forget_before(self, since: datetime) -> int:
        """What was begun before then and never became a blob; how many."""

    def everything(self) -> AsyncIterator[Stored]:
        """All that lies there; what comes or goes meanwhile may be among it."""
