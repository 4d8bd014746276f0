"""Server-sent events: an organisation's log, live, resumable by ``Last-Event-ID``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from aiohttp import ClientConnectionResetError, web

from libs.chassis.lifecycle import Wake
from services.events.domain import Entry, Query
from services.events.service import EventLog

_PAGE: Final = 200
_POLL: Final = timedelta(seconds=1)
"""Entries recorded by another replica are seen by polling; our own announce themselves."""
_HEARTBEAT: Final = timedelta(seconds=15)


class Feed:
    """Wakes every open stream when this process has recorded something."""

    def __init__(self) -> None:
        self._listeners: set[Wake] = set()

    def announce(self) -> None:
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listen(self) -> Iterator[Wake]:
        wake = Wake()
        self._listeners.add(wake)
        try:
            yield wake
        finally:
            self._listeners.discard(wake)


async def stream(
    request: web.Request, log: EventLog, feed: Feed, *, org_id: UUID, query: Query
) -> web.StreamResponse:
    """Send entries after ``query.after`` for as long as the client listens."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(b": yokocho event stream\n\n")
        with feed.listen() as wake:
            await _follow(response, log, wake, org_id=org_id, query=query)
    except (ClientConnectionResetError, ConnectionResetError):
        pass  # the client went away; its next connection resumes from Last-Event-ID
    return response


async def _follow(
    response: web.StreamResponse, log: EventLog, wake: Wake, *, org_id: UUID, query: Query
) -> None:
    clock = asyncio.get_running_loop()
    spoke = clock.time()
    while True:
        entries = await log.read(org_id, replace(query, limit=_PAGE))
        if entries:
            await response.write(b"".join(map(frame, entries)))
            query = replace(query, after=entries[-1].seq)
            spoke = clock.time()
            continue
        if clock.time() - spoke > _HEARTBEAT.total_seconds():
            await response.write(b": still here\n\n")
            spoke = clock.time()
        await wake.wait(_POLL)


def frame(entry: Entry) -> bytes:
    """One server-sent event. The body is JSON without line breaks: it fits one data line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        entry.seq,
        entry.short_name.encode(),
        entry.body,
    )
