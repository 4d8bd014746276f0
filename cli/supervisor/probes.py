"""Whether somebody answers: the smallest HTTP request there is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from cli.ports import LOOPBACK, bracketed

Probe = Callable[[], Awaitable[bool]]

_SECONDS: Final = 5.0


def answers(port: int, path: str, *, host: str = LOOPBACK) -> Probe:
    """A probe that is true when ``GET path`` answers 200."""

    async def probe() -> bool:
        return await _status(host, port, path) == 200  # noqa: PLR2004 - the one that means yes

    return probe


async def _status(host: str, port: int, path: str) -> int | None:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {bracketed(host)}\r\n".encode())
                writer.write(b"Connection: close\r\n\r\n")
                first = await reader.readline()
                return int(first.split()[1])
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
