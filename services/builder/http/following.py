"""A build followed: its log as text, and everything about it as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from pydantic import Field
from pydantic_core import to_json

from libs.chassis.http import Route, principal, stream_response
from libs.chassis.openapi import Operation, Query
from libs.chassis.problems import InvalidParameterError, read_query
from services.builder.domain import Step
from services.builder.http.builds import ONE, READ, build_id
from services.builder.service import Following, Piece

_HEARTBEAT: Final = timedelta(seconds=15)
_DIGITS: Final = 15


class LogQuery(Query):
    follow: bool = Field(default=False, description="go on until the build ends")


class FollowingApi:
    def __init__(self, following: Following) -> None:
        self._following = following

    def routes(self) -> list[Route]:
        return [
            Route("GET", f"{ONE}/log", self.log, action=READ, stream=True, operation=_LOG),
            Route("GET", f"{ONE}/events", self.events, action=READ, stream=True, operation=_EVENTS),
        ]

    async def log(self, request: web.Request) -> web.StreamResponse:
        asked = read_query(request, LogQuery)
        org_id, build = principal(request).org_id, build_id(request)
        await self._following.one(org_id, build)
        return await stream_response(
            request,
            self._text(org_id, build, follow=asked.follow),
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        read_query(request, Query)
        org_id, build, after = principal(request).org_id, build_id(request), _resumed(request)
        await self._following.one(org_id, build)
        return await stream_response(
            request,
            _frames(self._following.pieces(org_id, build, after=after)),
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"},
        )

    async def _text(
        self, org_id: UUID, build: UUID, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        async for piece in self._following.pieces(org_id, build):
            if piece.text:
                yield piece.text
            elif not follow:
                return


async def _frames(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[bytes, None]:
    said, clock = _Said(), asyncio.get_running_loop()
    spoke = clock.time()
    yield b": yokocho build\n\n"
    async for piece in pieces:
        frames = b"".join(said.news(piece))
        if not frames and clock.time() - spoke > _HEARTBEAT.total_seconds():
            frames = b": still here\n\n"
        if frames:
            yield frames
            spoke = clock.time()


@dataclass(slots=True)
class _Said:
    """What a follower knows already: only what is new is sent."""

    status: tuple[object, ...] = ()
    steps: tuple[Step, ...] = ()

    def news(self, piece: Piece) -> Iterator[bytes]:
        view = piece.view
        status = (view.status, view.strategy, view.why)
        if status != self.status:
            named = {"status": view.status, "strategy": view.strategy, "why": view.why}
            yield _frame("status", named)
        for number, step in enumerate(view.steps):
            if self.steps[number : number + 1] != (step,):
                yield _frame("step", {"number": number, **asdict(step)})
        self.status, self.steps = status, view.steps
        if piece.text:
            lines = piece.text.decode(errors="replace").removesuffix("\n").split("\n")
            yield _frame("log", {"lines": lines}, offset=piece.position)
        elif piece.ended:
            yield _frame("end", view)


def _frame(event: str, data: Any, *, offset: int | None = None) -> bytes:
    """With ``offset`` a follower that lost the connection resumes behind it."""
    number = b"" if offset is None else b"id: %d\n" % offset
    return b"%sevent: %s\ndata: %s\n\n" % (number, event.encode(), to_json(data))


def _resumed(request: web.Request) -> int:
    text = request.headers.get("Last-Event-ID", "") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidParameterError(f"'Last-Event-ID': '{text[:40]}' is no number of a byte")
    return int(text)


_LOG: Final = Operation(
    "build_log", "The log of a build", query=LogQuery, answer=bytes, media="text/plain"
)
_EVENTS: Final = Operation(
    "build_events",
    "A build as it goes: events `status`, `step`, `log` and `end`; `Last-Event-ID` resumes",
    answer=bytes,
    media="text/event-stream",
)
