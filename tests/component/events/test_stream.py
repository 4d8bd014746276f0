"""The log as a live stream: resumed without gap or repetition, filtered, at the reader's pace."""

import asyncio
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import aiohttp
import pytest
import structlog
from yarl import URL

from libs.chassis.postgres import Pool
from services.events import stream
from services.events.consumers import LogConsumer
from services.events.service import EventLog
from services.events.stream import Feed
from tests.support.eventlog import event_log, pushed, read_frames, record, serving
from tests.support.loops import eventually

LIVES: Final = 4
BIG: Final = 200_000
PAGE: Final = 64


async def test_the_stream_resumes_after_the_last_event_id(
    log: EventLog, url: str, session: aiohttp.ClientSession
) -> None:
    await record(log, pushed("v1"), pushed("v2"))

    headers = {"Last-Event-ID": "1"}
    async with session.get(f"{url}/api/events/stream", headers=headers) as answer:
        frames = read_frames(answer)
        first = await anext(frames)
        await record(log, pushed("v3"))
        second = await anext(frames)

    assert (first[0], first[1]["data"]["version"]) == (2, "v2")  # type: ignore[index]  # JSON
    assert (second[0], second[1]["data"]["version"]) == (3, "v3")  # type: ignore[index]  # JSON


async def test_a_new_stream_begins_with_what_happens_next(
    log: EventLog, url: str, session: aiohttp.ClientSession
) -> None:
    await record(log, pushed("v1"))

    async with session.get(f"{url}/api/events/stream?type=bento.pushed") as answer:
        await answer.content.readline()  # the greeting: the cursor is taken
        await record(log, pushed("v2"))
        seq, _ = await anext(read_frames(answer))

    assert seq == 2


async def test_restarts_make_neither_gap_nor_repetition(
    pool: Pool, session: aiohttp.ClientSession
) -> None:
    seen = [0]
    for life in range(LIVES):
        feed = Feed()
        log = event_log(pool, feed)
        await record(log, pushed(f"while-down-{life}"))
        async with serving(log, feed) as url:
            reader = asyncio.create_task(follow(session, url, seen))
            await record(log, *(pushed(f"v{life}-{n}") for n in range(30)))
        await reader

    total = LIVES * 31
    feed = Feed()
    async with serving(event_log(pool, feed), feed) as url:
        reader = asyncio.create_task(follow(session, url, seen))
        await eventually(lambda: len(seen) > total)
    await reader
    assert seen == list(range(total + 1))


async def follow(session: aiohttp.ClientSession, url: str, seen: list[int]) -> None:
    """Go on after the last of ``seen``, until the service ends the stream."""
    headers = {"Last-Event-ID": str(seen[-1])}
    with suppress(aiohttp.ClientError):
        async with session.get(f"{url}/api/events/stream", headers=headers) as answer:
            async for seq, _ in read_frames(answer):
                seen.append(seq)


@pytest.mark.parametrize(
    ("field", "value", "query"),
    [
        ("type", "dev.yokocho.model.pushed.v1", "type=model.pushed"),
        ("entityid", UUID(int=5), f"entity={UUID(int=5)}"),
        ("correlationid", "another", "correlation=another"),
        ("actor", "user:2", "actor=user:2"),
    ],
)
async def test_a_filtered_stream_tells_nothing_else(
    log: EventLog,
    url: str,
    session: aiohttp.ClientSession,
    *,
    field: str,
    value: object,
    query: str,
) -> None:
    wanted = [pushed(f"w{n}").model_copy(update={field: value}) for n in range(2)]
    await record(log, pushed("v1"), wanted[0], pushed("v2"))

    async with session.get(f"{url}/api/events/stream?after=0&{query}") as answer:
        frames = read_frames(answer)
        first, _ = await anext(frames)
        await record(log, pushed("v3"), wanted[1])
        second, _ = await anext(frames)

    assert (first, second) == (2, 5)


@pytest.mark.parametrize("query", ["limit=5", "last=5", "until=2026-01-01"])
async def test_a_stream_refuses_what_only_pages_have(
    url: str, session: aiohttp.ClientSession, query: str
) -> None:
    async with session.get(f"{url}/api/events/stream?{query}") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["parameter"]) == (422, query.partition("=")[0])


async def test_a_quiet_stream_shows_that_it_lives(
    url: str, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_HEARTBEAT", timedelta(milliseconds=20))
    monkeypatch.setattr(stream, "_POLL", timedelta(milliseconds=10))

    async with asyncio.timeout(5), session.get(f"{url}/api/events/stream") as answer:
        lines = [await answer.content.readline() for _ in range(6)]

    assert lines[2:] == [b": still here\n", b"\n"] * 2


async def test_an_event_is_one_line_however_it_was_spelled(
    log: EventLog, url: str, session: aiohttp.ClientSession
) -> None:
    event = pushed("v1")
    raw = event.model_dump_json(indent=1).replace("\n", "\r\n").encode()
    await LogConsumer(log, consumer="events-log-v1")(event, raw)

    async with session.get(f"{url}/api/events/stream?after=0") as answer:
        _, told = await anext(read_frames(answer))

    assert told == event.model_dump(mode="json")


async def test_a_reader_that_does_not_read_is_cut_off_and_holds_up_nobody(
    log: EventLog, url: str, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_PATIENCE", timedelta(milliseconds=300))
    for n in range(PAGE):
        event = pushed(f"v{n}")
        padded = event.model_dump_json().encode().ljust(BIG)
        await LogConsumer(log, consumer="events-log-v1")(event, padded)

    with structlog.testing.capture_logs() as lines, unread(URL(url)) as asleep:
        async with session.get(f"{url}/api/events/stream?after=0") as answer:
            frames = read_frames(answer)
            awake = [(await anext(frames))[0] for _ in range(PAGE)]
        await eventually(lambda: "stream.reader_too_slow" in {each["event"] for each in lines})
        got = await asyncio.to_thread(everything, asleep)

    assert awake == list(range(1, PAGE + 1))
    assert 0 < got < PAGE * BIG


def unread(url: URL) -> socket.socket:
    """A connection that has asked for the whole log and takes nothing of it yet."""
    asleep = socket.socket()
    asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asleep.connect((url.host, url.port))
    asleep.sendall(b"GET /api/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    asleep.settimeout(5)
    return asleep


def everything(asleep: socket.socket) -> int:
    """How many bytes come until the end, of whatever kind that is."""
    got = 0
    with suppress(ConnectionResetError):
        while chunk := asleep.recv(2**20):
            got += len(chunk)
    return got
