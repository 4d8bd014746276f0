"""The log through its edges: events recorded from their bytes, read and followed over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from uuid_utils.compat import uuid7

from libs.chassis.http import Readiness, build_app
from libs.chassis.lifecycle import listen
from libs.chassis.listener import Listener, Server
from libs.chassis.postgres import Database, Pool
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import BentoPushed
from services.events.consumers import LogConsumer
from services.events.http import EventsApi
from services.events.service import EventLog
from services.events.stream import Feed
from services.events.wiring import bind

ORG, OTHER = UUID(int=1), UUID(int=2)
Get = Callable[[str], Awaitable[tuple[int, dict[str, object]]]]


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def log(pool: Pool, feed: Feed) -> EventLog:
    return EventLog(Database(pool, bind, committed=feed.announce))


@pytest.fixture
async def url(log: EventLog, feed: Feed) -> AsyncIterator[str]:
    async def authenticate(request: web.Request) -> Principal:
        org = UUID(int=int(request.headers.get("X-Test-Org", "1")))
        return Principal(actor="user:1", issuer="gateway", org_id=org, org="default")

    async def ready() -> Readiness:
        return Readiness()

    app = build_app(
        EventsApi(log, feed).routes(), service="events", authenticate=authenticate, ready=ready
    )
    server = Server(Listener(app, listen("127.0.0.1", 0)))
    await server.start()
    yield f"http://{server.address}"
    await server.drain(timedelta(seconds=1))
    await server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def get(url: str, session: aiohttp.ClientSession) -> Get:
    async def get(path: str) -> tuple[int, dict[str, object]]:
        async with session.get(url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    return get


def pushed(version: str, *, org: UUID = ORG) -> Envelope[BentoPushed]:
    bento = UUID(int=9)
    data = BentoPushed(
        bento_id=bento,
        repository="iris",
        version=version,
        digest="sha256:" + "a" * 64,
        size_bytes=1,
    )
    return Envelope[BentoPushed](
        id=uuid7(),
        source="/yokocho/registry",
        type=data.event_type(),
        subject=f"{data.subject_prefix()}.{org}.{bento}",
        time=datetime.now(UTC),
        orgid=org,
        actor="user:1",
        entityid=bento,
        entityseq=1,
        correlationid="test",
        data=data,
    )


async def record(log: EventLog, *envelopes: Envelope[BentoPushed]) -> None:
    consumer = LogConsumer(log, consumer="events-log-v1")
    for envelope in envelopes:
        await consumer(envelope, envelope.model_dump_json().encode())


async def test_a_redelivered_event_is_in_the_log_once(log: EventLog, get: Get) -> None:
    event = pushed("v1")

    await record(log, event, event)

    status, page = await get("/api/events")
    assert status == 200
    assert [entry["event"]["id"] for entry in page["events"]] == [str(event.id)]  # type: ignore[attr-defined]  # JSON


async def test_concurrent_events_get_gap_free_numbers(log: EventLog) -> None:
    await asyncio.gather(*(record(log, pushed(f"v{n}")) for n in range(20)))

    assert (await log.head(ORG)).seq == 20
    assert await log.verify(ORG) == await log.head(ORG)


async def test_a_tenant_sees_only_its_own_chain(
    log: EventLog, url: str, session: aiohttp.ClientSession
) -> None:
    await record(log, pushed("ours"), pushed("theirs", org=OTHER))

    async with session.get(f"{url}/api/events", headers={"X-Test-Org": "2"}) as answer:
        theirs = await answer.json()

    assert [entry["event"]["data"]["version"] for entry in theirs["events"]] == ["theirs"]
    assert [entry["seq"] for entry in theirs["events"]] == [1]


async def test_the_stored_bytes_are_those_that_were_published(log: EventLog, pool: Pool) -> None:
    event = pushed("v1")
    raw = event.model_dump_json().encode() + b"  "  # another writer's spelling

    await LogConsumer(log, consumer="events-log-v1")(event, raw)

    assert await pool.fetchval("SELECT body FROM log_entry") == raw


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_entry SET actor = 'user:2'",
        "UPDATE log_entry SET body = 'other'",
        "DELETE FROM log_entry",
        "TRUNCATE log_entry",
    ],
)
async def test_the_log_cannot_be_rewritten(log: EventLog, pool: Pool, statement: str) -> None:
    await record(log, pushed("v1"))

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await pool.execute(statement)


async def test_an_erased_payload_leaves_the_chain_whole(
    log: EventLog, pool: Pool, get: Get
) -> None:
    await record(log, pushed("v1"), pushed("v2"), pushed("v3"))

    await pool.execute("UPDATE log_entry SET body = NULL WHERE seq = 2")

    assert (await get("/api/events/verify"))[1]["intact"] is True


async def test_tampering_behind_the_triggers_is_found(log: EventLog, pool: Pool, get: Get) -> None:
    await record(log, pushed("v1"), pushed("v2"), pushed("v3"))
    await pool.execute("ALTER TABLE log_entry DISABLE TRIGGER ALL")

    await pool.execute("UPDATE log_entry SET body = '{}' WHERE seq = 2")

    status, found = await get("/api/events/verify")
    assert (status, found["intact"], found["seq"]) == (200, False, 2)


async def test_a_cut_off_tail_is_found(log: EventLog, pool: Pool, get: Get) -> None:
    await record(log, pushed("v1"), pushed("v2"))
    await pool.execute("ALTER TABLE log_entry DISABLE TRIGGER ALL")

    await pool.execute("DELETE FROM log_entry WHERE seq = 2")

    assert (await get("/api/events/verify"))[1]["intact"] is False


async def test_pages_join_without_gap_or_overlap(log: EventLog, get: Get) -> None:
    await record(log, *(pushed(f"v{n}") for n in range(7)))

    seen: list[int] = []
    after: object = 0
    while True:
        _, page = await get(f"/api/events?limit=3&after={after}")
        if not page["events"]:
            break
        seen += [entry["seq"] for entry in page["events"]]  # type: ignore[attr-defined]  # JSON
        after = page["next"]

    assert seen == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("after=-1", "after"),
        ("type=bento.eaten", "type"),
        ("entity=nobody", "entity"),
        ("since=yesterday", "since"),
        ("colour=red", "colour"),
        ("last=2&after=1", "last"),
    ],
)
async def test_a_filter_that_cannot_be_honoured_is_refused_by_name(
    get: Get, query: str, parameter: str
) -> None:
    status, problem = await get(f"/api/events?{query}")

    assert status == 422
    assert problem["parameter"] == parameter


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


async def read_frames(
    answer: aiohttp.ClientResponse,
) -> AsyncIterator[tuple[int, dict[str, object]]]:
    async with asyncio.timeout(5):
        seq = 0
        async for line in answer.content:
            if line.startswith(b"id: "):
                seq = int(line[4:])
            if line.startswith(b"data: "):
                yield seq, json.loads(line[6:])


async def test_the_platform_chain_anchors_moved_heads_once(log: EventLog, pool: Pool) -> None:
    await record(log, pushed("v1"), pushed("w1", org=OTHER))

    assert await log.anchor() is True
    assert await log.anchor() is False
    await record(log, pushed("v2"))
    assert await log.anchor() is True

    assert await pool.fetchval("SELECT count(*) FROM log_anchor") == 2
    assert await pool.fetchval("SELECT count(*) FROM log_anchor_head WHERE anchor = 2") == 2
