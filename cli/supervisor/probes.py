"""Whether somebody answers: the smallest HTTP request there is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from cli.ports import LOOPBACK

Probe = Callable[[], Awaitable[bool]]

_SECONDS: Final = 5.0


def answers(port: int, path: str) -> Probe:
    """A probe that is true when ``GET path`` on loopback answers 200."""

    async def probe() -> bool:
        return await _status(port, path) == 200  # noqa: PLR2004 - the one that means yes

    return probe


async def _status(port: int, path: str) -> int | None:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                first = await reader.readline()
                return int(first.split()[1])
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
