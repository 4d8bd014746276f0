"""One request passed on and its answer passed back, each at the pace of its reader."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

import aiohttp
import structlog
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

READ_BUFFER: Final = 2**20
CONNECT: Final = timedelta(seconds=3)
"""For a free place in the pool and a connection together."""
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
"""What aiohttp would say of itself in the caller's name."""

_log = structlog.get_logger()


class NotSentError(Exception):
    """No connection: no byte of the request has left."""


class BrokenOffError(Exception):
    """The upstream got the request, or part of it, and closed without an answer."""


class SilentError(Exception):
    """The upstream keeps the connection and says nothing."""


class Body:
    """A request's body on its way through. It can be read once, which ``is_taken`` shows."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.is_taken = False
        self.error: Exception | None = None

    @property
    def is_empty(self) -> bool:
        return not self._request.can_read_body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.is_taken = True
        await self._invite()
        content = self._request.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (web.RequestPayloadError, OSError) as error:
            self.error = error
            raise

    async def _invite(self) -> None:
        """Tell a caller that waits for it to send the body; the edge has not done so."""
        writer = self._request.writer
        if "Expect" in self._request.headers and writer.output_size == 0:
            await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            writer.output_size = 0


async def open_exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: CIMultiDict[str],
    body: Body,
    silence: timedelta | None,
    invited: bool = False,
) -> aiohttp.ClientResponse:
    """The head of the answer, which may come while ``body`` is still being sent.

    ``silence`` bounds the time in which the upstream sends nothing, once the body is out. With
    ``invited`` the body is kept until the upstream asks for it with ``100 Continue``.
    """
    try:
        return await session.request(
            method,
            url,
            headers=headers,
            data=None if body.is_empty else body,
            expect100=invited and not body.is_empty,
            skip_auto_headers=_NOT_ADDED,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=CONNECT.total_seconds(),
                sock_read=silence.total_seconds() if silence is not None else None,
            ),
        )
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSentError(str(error)) from error
    except aiohttp.ServerTimeoutError as error:
        raise SilentError from error
    except aiohttp.ClientError as error:
        if body.error is not None:
            raise body.error from error  # the caller's own body broke, not the upstream
        raise BrokenOffError(type(error).__name__) from error


async def relay(
    request: web.Request, upstream: aiohttp.ClientResponse, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Pass an answer on as it comes. Where it breaks off, so does ours: it is not whole."""
    answer = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await answer.prepare(request)
    content = upstream.content
    while True:
        try:
            chunk = await content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("upstream.broke_off", reason=type(error).__name__)
            raise ConnectionResetError from error
        if not chunk:
            break
        await answer.write(chunk)
    await answer.write_eof()
    return answer
