"""Server-sent events: an organisation's log, live, resumable by ``Last-Event-ID``."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from aiohttp import ClientConnectionResetError, web

from libs.chassis.lifecycle import Wake
from services.events.domain import Entry, Query
from services.events.service import EventLog

_PAGE: Final = 64
"""All that a stream holds in memory, besides what the connection has not taken yet."""
_POLL: Final = timedelta(seconds=1)
"""Entries recorded by another replica are seen by polling; our own announce themselves."""
_HEARTBEAT: Final = timedelta(seconds=15)
_PATIENCE: Final = timedelta(seconds=30)
"""How long a client may take nothing of what it was sent. A faster one resumes where it was."""

_log = structlog.get_logger()


class _TooSlowError(Exception):
    """The client does not read."""


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
        await _send(response, b": yokocho event stream\n\n")
        with feed.listen() as wake:
            await _follow(response, log, wake, org_id=org_id, query=query)
    except (ClientConnectionResetError, ConnectionResetError):
        pass  # the client went away; its next connection resumes from Last-Event-ID
    except _TooSlowError:
        _log.info("stream.reader_too_slow", org_id=str(org_id))
        if request.transport is not None:
            request.transport.abort()  # a close would wait for the client to take the rest
    return response


async def _follow(
    response: web.StreamResponse, log: EventLog, wake: Wake, *, org_id: UUID, query: Query
) -> None:
    clock = asyncio.get_running_loop()
    spoke = clock.time()
    while True:
        entries = await log.read(org_id, replace(query, limit=_PAGE))
        if entries:
            for entry in entries:
                await _send(response, frame(entry))
            query = replace(query, after=entries[-1].seq)
            spoke = clock.time()
            continue
        if clock.time() - spoke > _HEARTBEAT.total_seconds():
            await _send(response, b": still here\n\n")
            spoke = clock.time()
        await wake.wait(_POLL)


async def _send(response: web.StreamResponse, chunk: bytes) -> None:
    """Waits while the client is behind: what it has not taken is not piled up here."""
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            await response.write(chunk)
    except TimeoutError:
        raise _TooSlowError from None


def frame(entry: Entry) -> bytes:
    """One server-sent event. In JSON a line break is only ever space between words."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        entry.seq,
        entry.short_name.encode(),
        entry.body.replace(b"\r", b" ").replace(b"\n", b" "),
    )
