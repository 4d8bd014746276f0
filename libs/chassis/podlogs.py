"""Pods and their logs, as BentoML's clients ask for them: JSON in text frames of a WebSocket."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSMsgType, web
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from libs.chassis.auth import ForbiddenError
from libs.chassis.errors import ServiceError
from libs.chassis.http import principal
from libs.chassis.websocket import opened

_PIECE: Final = 2**13
"""Characters of a message: their clients take no message above 64 KiB."""
_ASK_WITHIN: Final = 30.0
_LINGER: Final = 120.0
"""Clients of 1.2 know no end of a log, and take a close for an error: they go first."""
_LINES: Final = 50
_MOST_LINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Pod:
    """Something that runs and has a log. ``status`` is the word that clients wait for."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    runner: str = ""
    status: str = "Running"
    ready: bool = True

    def view(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.labels,
            "runner_name": self.runner,
            "status": {"phase": self.status, "ready": self.ready},
            "pod_status": {"status": self.status, "reason": ""},
        }


class LogWish(BaseModel):
    """What a client wants of a pod's log."""

    id: str = Field("", max_length=128)
    follow: bool = True
    tail_lines: int = Field(_LINES, ge=0, le=_MOST_LINES)


class _Message(BaseModel):
    type: str
    payload: LogWish | None = None


async def show_pods(
    request: web.Request, find: Callable[[], Awaitable[Sequence[Pod]]]
) -> web.WebSocketResponse:
    """One message with all of them. Refusals are messages, too: clients show their words."""
    async with opened(request) as socket:
        try:
            _require_organisation(request)
            found = [each.view() for each in await find()]
        except ServiceError as error:
            await _say(socket, "error", error.detail)
        else:
            await _say(socket, "success", payload=found)
    return socket


async def show_log(
    request: web.Request, log: Callable[[LogWish], AsyncGenerator[bytes, None]]
) -> web.WebSocketResponse:
    """``log`` until the client ends; each piece of it is whole lines."""
    async with opened(request) as socket:
        wish = await _wish(socket)
        if wish is not None:
            sending = asyncio.create_task(_send(socket, wish, log(wish)))
            try:
                async for _ in socket:
                    pass  # heartbeats
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await sending
    return socket


async def _wish(socket: web.WebSocketResponse) -> LogWish | None:
    """The first message that is one; None when the client goes, or says nothing for long."""
    try:
        async with asyncio.timeout(_ASK_WITHIN):
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                told = _Message.model_validate_json(message.data)
                if told.type == "data":
                    return told.payload or LogWish()
    except ValidationError as error:
        await _say(socket, "error", f"this is no wish for a log: {error.errors()[0]['msg']}")
    except TimeoutError:
        await _say(socket, "error", "nothing was asked for")
    return None


async def _send(
    socket: web.WebSocketResponse, wish: LogWish, pieces: AsyncGenerator[bytes, None]
) -> None:
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                text = piece.decode(errors="replace")
                for start in range(0, len(text), _PIECE):
                    item = b64encode(text[start : start + _PIECE].encode()).decode()
                    payload = {"req_id": wish.id, "type": "append", "items": [item]}
                    await _say(socket, "success", payload=payload)
        await _say(socket, "success", "EOF")
        await asyncio.sleep(_LINGER)
    except ServiceError as error:
        await _say(socket, "error", error.detail)
    finally:
        await socket.close()


async def _say(
    socket: web.WebSocketResponse, kind: str, message: str = "", *, payload: Any = None
) -> None:
    said = {"type": kind, "message": message, "payload": payload}
    await socket.send_str(to_json(said).decode())


def _require_organisation(request: web.Request) -> None:
    caller, named = principal(request), request.query.get("organization_name", "")
    if named and named != caller.org:
        raise ForbiddenError(f"the token is not one of organisation '{named[:80]}'")
