"""One range of bytes, as RFC 9110 has it (section 14): what resumes a download that broke off."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Span:
    """``first`` to ``last``, both included."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def is_whole(self) -> bool:
        return self.length == self.size

    @property
    def header(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


async def begun(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """``chunks``, of which the first is there: what is wrong with that can still be answered."""
    first = await anext(chunks, b"")
    return _going_on(first, chunks)


async def _going_on(
    first: bytes, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        yield first
        async for chunk in chunks:
            yield chunk


def span_of(request: web.Request, *, size: int, etag: str) -> Span | None:
    """What is asked for; everything when that is not one range, or of other bytes.

    None when the range begins behind the end.
    """
    whole = Span(0, size - 1, size)
    if request.headers.get("If-Range", etag) != etag:
        return whole
    try:
        asked = request.http_range
    except ValueError:
        return whole  # also several ranges: a server may always send everything
    if asked.start is None:
        return whole
    first = max(size + asked.start, 0) if asked.start < 0 else asked.start
    last = size - 1 if asked.stop is None or asked.start < 0 else min(asked.stop, size) - 1
    return Span(first, last, size) if first <= last else None
