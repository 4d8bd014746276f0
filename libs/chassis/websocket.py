"""A WebSocket of a service: bounded, watched, and parted from in words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import aiohttp
from aiohttp import web

_MESSAGE_BYTES: Final = 2**16
"""What callers say is short: what they want to see, and that they are still there."""
_PING: Final = timedelta(seconds=20)
_CLOSING: Final = timedelta(seconds=1)


@asynccontextmanager
async def opened(request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
    """Closed at the end; with ``1001`` when the service stops, so that the caller comes again."""
    socket = web.WebSocketResponse(
        max_msg_size=_MESSAGE_BYTES,
        heartbeat=_PING.total_seconds(),
        timeout=_CLOSING.total_seconds(),
        compress=False,
    )
    await socket.prepare(request)
    code = aiohttp.WSCloseCode.OK
    try:
        yield socket
    except asyncio.CancelledError:
        code = aiohttp.WSCloseCode.GOING_AWAY
        raise
    except ConnectionError:
        pass  # the caller has gone
    except BaseException:
        code = aiohttp.WSCloseCode.INTERNAL_ERROR
        raise
    finally:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_CLOSING.total_seconds()):
                await socket.close(code=code)
