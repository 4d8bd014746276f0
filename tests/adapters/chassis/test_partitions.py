"""Weeks that are over: dropped once the log has their facts, and kept until then."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from libs.chassis.bus import Bus, BusUnavailableError, Subscription, connect
from libs.chassis.bus.streams import MAX_AGE
from libs.chassis.deadletters import DeadLetters
from libs.chassis.inbox import Inbox
from libs.chassis.partitions import KEEP, drop_past_partitions
from libs.chassis.postgres import Database, Pool
from libs.contracts.bus import log_of
from tests.support.facts import SOURCE, STREAM, Tx, admin, say
from tests.support.handlers import Recorder
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer
from tests.support.publishers import Passing
from tests.support.relays import relay_of

WEEK = timedelta(weeks=1)
LOG = log_of(SOURCE)


@pytest.fixture
async def events(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """The service that keeps the log."""
    async with await connect(nats_server.url("events"), "events") as opened:
        yield opened


async def logged(events: Bus, pool: Pool, count: int) -> None:
    """The log has that many facts more."""
    recorder = Recorder()
    async with running(Subscription(events, LOG, recorder, DeadLetters(pool)).run):
        await eventually(recorder.has(count))
        await eventually(lambda: settled(events, count))


async def settled(events: Bus, seq: int) -> bool:
    return await events.acknowledged(STREAM, LOG.durable) >= seq


async def dropped(pool: Pool, *, after: timedelta) -> set[str]:
    """Which tables lost a week, if it were that much later."""
    async with pool.acquire() as connection:
        parts = await drop_past_partitions(connection, now=datetime.now(UTC) + after)
    return {part.partition("_")[0] for part in parts}


async def count(pool: Pool, table: str) -> int:
    rows = {
        "outbox": "SELECT count(*) FROM outbox",
        "inbox": "SELECT count(*) FROM inbox",
    }
    return int(await pool.fetchval(rows[table]))


def test_weeks_are_kept_for_longer_than_a_fact_can_come_again() -> None:
    assert KEEP > 2 * MAX_AGE


async def test_facts_that_the_log_has_go_with_their_week(
    builder: Bus, events: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)
    await relay_of(pool, builder).flush()
    await logged(events, pool, 3)
    await relay_of(pool, builder).flush()

    assert await dropped(pool, after=KEEP) == {"outbox", "inbox"}  # last week's
    assert await count(pool, "outbox") == 3

    assert "outbox" in await dropped(pool, after=KEEP + WEEK)
    assert await count(pool, "outbox") == 0


async def test_facts_that_nobody_has_logged_stay(
    builder: Bus, events: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)
    await relay_of(pool, builder).flush()
    await logged(events, pool, 3)
    await say(database, 1, first=4)
    relay = relay_of(pool, builder)
    while await relay.flush():
        pass

    await dropped(pool, after=KEEP + WEEK)

    assert await count(pool, "outbox") == 4


async def test_facts_that_were_never_said_stay(pool: Pool, database: Database[Tx]) -> None:
    await say(database, 1)

    await dropped(pool, after=KEEP + WEEK)

    assert await count(pool, "outbox") == 1


class Silent(Passing):
    """Does not tell how far the log is: a server whose permissions are not ours."""

    @override
    async def acknowledged(self, stream: str, consumer: str) -> int:
        raise BusUnavailableError("no answer")


async def test_a_bus_that_does_not_tell_what_the_log_has_holds_up_nothing(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)

    assert await relay_of(pool, Silent(builder)).flush() == 3

    await dropped(pool, after=KEEP + WEEK)
    assert await count(pool, "outbox") == 3


async def test_what_the_log_had_of_a_lost_stream_says_nothing_of_the_next(
    nats_server: NatsServer, builder: Bus, events: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)
    await relay_of(pool, builder).flush()
    await logged(events, pool, 3)
    await relay_of(pool, builder).flush()
    async with admin(nats_server) as operator:
        await operator.api(f"STREAM.DELETE.{STREAM}")
    relay = relay_of(pool, builder)
    while await relay.flush():
        pass

    await dropped(pool, after=KEEP + WEEK)
    assert await count(pool, "outbox") == 3

    await logged(events, pool, 3)
    await relay_of(pool, builder).flush()
    await dropped(pool, after=KEEP + WEEK)
    assert await count(pool, "outbox") == 0


async def test_claims_go_when_nothing_can_come_again(pool: Pool, database: Database[Tx]) -> None:
    await say(database, 1)
    event = await pool.fetchval("SELECT id FROM outbox")
    async with Database(pool, Inbox).transaction() as inbox:
        await inbox.claim("a-b-v1", event)
    late = "UPDATE inbox SET claimed_at = now() + interval '30 days'"

    await pool.execute(late)
    await dropped(pool, after=KEEP + WEEK)
    assert await count(pool, "inbox") == 1

    await dropped(pool, after=KEEP + timedelta(days=31))
    assert await count(pool, "inbox") == 0
