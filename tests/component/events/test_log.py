"""The log through its edges: events recorded from their bytes, read over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
import pytest

from libs.chassis.postgres import Pool
from services.events.consumers import LogConsumer
from services.events.service import EventLog
from tests.support.eventlog import ORG, OTHER, pushed, record

Get = Callable[[str], Awaitable[tuple[int, dict[str, object]]]]


@pytest.fixture
def get(url: str, session: aiohttp.ClientSession) -> Get:
    async def get(path: str) -> tuple[int, dict[str, object]]:
        async with session.get(url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    return get


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


async def test_what_arrives_together_shares_a_transaction(log: EventLog, pool: Pool) -> None:
    await asyncio.gather(*(record(log, pushed(f"v{n}")) for n in range(50)))

    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM log_entry") <= 3


async def test_none_suffers_for_another(log: EventLog) -> None:
    there = pushed("there")
    await record(log, there)
    stranger = LogConsumer(log, consumer="another-v1")  # has not claimed what the log has

    outcomes = await asyncio.gather(
        record(log, pushed("v0")),
        stranger(there, there.model_dump_json().encode()),
        *(record(log, pushed(f"v{n}")) for n in range(1, 20)),
        return_exceptions=True,
    )

    assert [type(each) for each in outcomes if each] == [asyncpg.UniqueViolationError]
    assert (await log.head(ORG)).seq == 21
    assert await log.verify(ORG) == await log.head(ORG)


async def test_a_waiter_that_is_cancelled_leaves_nothing_behind(log: EventLog) -> None:
    tasks = [asyncio.create_task(record(log, pushed(f"v{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    for each in tasks[:5]:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await record(log, pushed("last"))

    assert (await log.head(ORG)).seq >= 6
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


async def test_the_platform_chain_anchors_moved_heads_once(log: EventLog, pool: Pool) -> None:
    await record(log, pushed("v1"), pushed("w1", org=OTHER))

    assert await log.anchor() is True
    assert await log.anchor() is False
    await record(log, pushed("v2"))
    assert await log.anchor() is True

    assert await pool.fetchval("SELECT count(*) FROM log_anchor") == 2
    assert await pool.fetchval("SELECT count(*) FROM log_anchor_head WHERE anchor = 2") == 2
