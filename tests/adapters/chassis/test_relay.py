"""The crash windows between a commit and the stream, on real servers."""

import asyncio
import base64
from datetime import timedelta

import pytest

from libs.chassis.bus import Bus, FencedError, connect, streams
from libs.chassis.context import bound
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.postgres import Database, DatabaseUnavailableError, Pool
from tests.support.facts import CAUSE, SOURCE, STREAM, Tx, admin, fact, message, say, stored
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer
from tests.support.publishers import Crash, CrashesBetween, LosesAnswers, Stalls
from tests.support.relays import complete, outbox, reaches, recorded, relay_of

pytestmark = pytest.mark.usefixtures("impatient")


async def test_facts_reach_the_stream_in_order_and_are_recorded(
    builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    async with running(relay_of(pool, builder, wake).run):
        await say(database, 120, entities=7)
        await eventually(complete(pool))

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_the_stream_carries_the_bytes_of_the_outbox(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 1)
    await relay_of(pool, builder).flush()

    async with admin(nats_server) as operator:
        found = (await operator.api(f"STREAM.MSG.GET.{STREAM}", {"seq": 1}))["message"]
    row = await pool.fetchrow("SELECT subject, body FROM outbox")
    assert row is not None
    assert (found["subject"], base64.b64decode(found["data"])) == (row["subject"], row["body"])


async def test_a_rolled_back_fact_is_never_said(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            with bound(CAUSE):
                await tx.outbox.append(fact(), entity_seq=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await relay_of(pool, builder).flush() == 0
    assert await stored(builder) == []


async def test_a_crash_between_publish_and_mark_repeats_nothing(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 5)
    with pytest.raises(Crash):
        await relay_of(pool, CrashesBetween(builder)).flush()
    assert await recorded(pool) == []

    await say(database, 3, first=6)
    successor = relay_of(pool, builder)
    while await successor.flush():
        pass

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_not_even_after_the_duplicate_window(
    builder: Bus, pool: Pool, database: Database[Tx], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "DUPLICATE_WINDOW", timedelta(milliseconds=100))
    await say(database, 5)
    with pytest.raises(Crash):
        await relay_of(pool, CrashesBetween(builder)).flush()
    await asyncio.sleep(0.5)

    await relay_of(pool, builder).flush()

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_lost_answers_repeat_nothing(
    builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    publisher = LosesAnswers(builder)

    async with running(relay_of(pool, publisher, wake).run):
        await say(database, 60, entities=5)
        await eventually(complete(pool))

    assert publisher.lost >= 1
    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_facts_that_the_record_forgot_are_not_said_twice(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 10)
    await relay_of(pool, builder).flush()
    await pool.execute("UPDATE outbox SET published_at = NULL, stream_seq = NULL")

    await say(database, 2, first=11)
    successor = relay_of(pool, builder)
    while await successor.flush():
        pass

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_two_relays_say_everything_once_and_in_order(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    async with (
        await connect(nats_server.url(SOURCE), SOURCE) as other,
        running(relay_of(pool, builder).run, relay_of(pool, other).run),
    ):
        for start in range(1, 301, 60):
            await say(database, 60, entities=6, first=start)
            await asyncio.sleep(0.1)
        await eventually(complete(pool))

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_a_relay_that_was_paused_while_another_led_is_fenced(
    builder: Bus, pool: Pool, database: Database[Tx], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "DUPLICATE_WINDOW", timedelta(milliseconds=100))
    await say(database, 5)
    await relay_of(pool, builder).flush()
    await say(database, 5, first=6)
    paused = Stalls(builder)
    late = asyncio.create_task(relay_of(pool, paused).flush())
    await paused.stalled.wait()
    await pool.execute(  # what idle_in_transaction_session_timeout does to a paused holder
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    successor = relay_of(pool, builder)
    await eventually(lambda: _flushed(successor))
    await say(database, 5, first=11)
    await successor.flush()

    await asyncio.sleep(0.3)
    paused.go_on.set()
    with pytest.raises(DatabaseUnavailableError) as ended:
        await late
    assert isinstance(_first(ended.value), FencedError)

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


def _first(error: BaseException) -> BaseException:
    """What went wrong before everything that went wrong after it."""
    while isinstance(error.__context__, Exception) and not isinstance(error, FencedError):
        error = error.__context__
    return error


async def _flushed(successor: Relay) -> bool:
    return await successor.flush() == 5


async def test_writers_at_once_are_all_heard(
    builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    async with running(relay_of(pool, builder, wake).run):
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(say(database, 60, entities=3))
        await eventually(complete(pool))

    assert sorted(await stored(builder)) == await outbox(pool)


async def test_a_bus_that_is_killed_again_and_again_loses_and_repeats_nothing(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    async def kill() -> None:
        for _ in range(5):
            await asyncio.sleep(0.25)
            nats_server.kill()
            await asyncio.sleep(0.05)
            nats_server.start()

    async with running(relay_of(pool, builder, wake).run):
        async with asyncio.TaskGroup() as group:
            group.create_task(kill())
            for start in range(1, 601, 20):
                await say(database, 20, entities=10, first=start)
                await asyncio.sleep(0.03)
        await eventually(complete(pool), within=timedelta(seconds=20))
        await eventually(reaches(builder, 600))

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_strangers_in_the_stream_do_not_stop_the_relay(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await builder.ensure_stream(SOURCE)
    stranger = message()
    await say(database, 3)
    first = relay_of(pool, builder)
    await first.flush()
    await builder.publish_batch([stranger], stream=STREAM)

    await say(database, 3, first=4)
    successor = relay_of(pool, builder)
    while await successor.flush():
        pass

    mine = await outbox(pool)
    assert await stored(builder) == [*mine[:3], stranger.id, *mine[3:]]
