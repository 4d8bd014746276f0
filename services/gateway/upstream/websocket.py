"""A WebSocket through the gateway: two pumps, and the close of one end closes the other."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from services.gateway.upstream.exchange import BrokenOffError, NotSentError, SilentError

_CLOSING: Final = timedelta(seconds=3)
_HANDSHAKE_WITHIN: Final = timedelta(seconds=30)
_HANDSHAKE: Final = "sec-websocket-"
_UNSENDABLE: Final = frozenset({1004, 1005, 1006, 1015})
"""Codes that only an implementation may report; on the wire they are an error."""
_ABNORMAL: Final = 1006

_Upstream = aiohttp.ClientWebSocketResponse[bool]
_Socket = web.WebSocketResponse | _Upstream


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    max_message: int
    ping_every: timedelta


class HandshakeRefusedError(Exception):
    """The upstream answered something other than 101."""

    def __init__(self, status: int, headers: CIMultiDictProxy[str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


async def converse(
    request: web.Request,
    session: aiohttp.ClientSession,
    url: URL,
    *,
    headers: CIMultiDict[str],
    limits: WebSocketLimits,
) -> web.WebSocketResponse:
    """Until one end closes. The upstream is asked first: its refusal can still be answered."""
    upstream = await _connect(request, session, url, headers=headers, limits=limits)
    caller = web.WebSocketResponse(
        protocols=(upstream.protocol,) if upstream.protocol else (),
        max_msg_size=limits.max_message,
        heartbeat=limits.ping_every.total_seconds(),
        timeout=_CLOSING.total_seconds(),
        autoclose=False,
        compress=False,
    )
    try:
        await caller.prepare(request)
        await _pump_both(caller, upstream)
    finally:
        await upstream.close()
    return caller


async def _connect(
    request: web.Request,
    session: aiohttp.ClientSession,
    url: URL,
    *,
    headers: CIMultiDict[str],
    limits: WebSocketLimits,
) -> aiohttp.ClientWebSocketResponse:
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    own = CIMultiDict(
        (name, value) for name, value in headers.items() if not name.lower().startswith(_HANDSHAKE)
    )
    try:
        async with asyncio.timeout(_HANDSHAKE_WITHIN.total_seconds()):
            return await session.ws_connect(
                url,
                headers=own,
                protocols=tuple(each.strip() for each in offered.split(",") if each.strip()),
                max_msg_size=limits.max_message,
                heartbeat=limits.ping_every.total_seconds(),
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING.total_seconds()),
                autoclose=False,
                compress=0,
            )
    except aiohttp.WSServerHandshakeError as error:
        given = CIMultiDictProxy(CIMultiDict(error.headers or {}))
        raise HandshakeRefusedError(error.status, given) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSentError(str(error)) from error
    except TimeoutError as error:
        raise SilentError from error
    except aiohttp.ClientError as error:
        raise BrokenOffError(type(error).__name__) from error


async def _pump_both(caller: web.WebSocketResponse, upstream: _Upstream) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(caller, upstream), name="websocket up")
            group.create_task(_pump(upstream, caller), name="websocket down")
    except asyncio.CancelledError:
        await _part(caller, upstream)
        raise


async def _pump(source: _Socket, sink: _Socket) -> None:
    """Carry messages until ``source`` ends; then ``sink`` ends in the same way."""
    reason = b""
    with suppress(ConnectionError):  # the sink has gone: its own pump says how
        while True:
            message = await source.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case aiohttp.WSMsgType.CLOSE:
                    reason = str(message.extra or "").encode()
                    break
                case aiohttp.WSMsgType.CLOSING:
                    return  # by the other pump, which passes on how
                case _:
                    break
    code = _sendable(source.close_code)
    for end in (sink, source):
        with suppress(ConnectionError):
            await end.close(code=code, message=reason)


def _sendable(code: int | None) -> int:
    if code is None or code == _ABNORMAL:
        return aiohttp.WSCloseCode.BAD_GATEWAY if code else aiohttp.WSCloseCode.OK
    return aiohttp.WSCloseCode.OK if code in _UNSENDABLE else code


async def _part(*ends: _Socket) -> None:
    """Say goodbye to both ends, briefly: the gateway stops, or the caller is gone."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_CLOSING.total_seconds() / 3):
            for end in ends:
                await end.close(code=aiohttp.WSCloseCode.GOING_AWAY)
