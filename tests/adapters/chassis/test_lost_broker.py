"""A broker that forgets: the outbox remembers, and nothing happens twice."""

from typing import Any
from uuid import UUID

import pytest

from libs.chassis.bus import Bus, Subscription
from libs.chassis.deadletters import DeadLetters
from libs.chassis.lifecycle import Wake
from libs.chassis.postgres import Database, Pool
from libs.contracts.event import Envelope
from tests.support.facts import SOURCE, STREAM, Tx, admin, message, say, stored
from tests.support.handlers import AT, SPEC, Recorder
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer
from tests.support.relays import complete, outbox, reaches, recorded, relay_of

pytestmark = pytest.mark.usefixtures("impatient")


async def test_a_broker_that_lost_its_disk_is_filled_again(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    async with running(relay_of(pool, builder, wake).run):
        await say(database, 30, entities=3)
        await eventually(complete(pool))

        nats_server.kill()
        nats_server.lose_disk()
        await say(database, 5, first=31)
        nats_server.start()

        await eventually(reaches(builder, 35))
        await eventually(complete(pool))

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_a_stream_that_was_deleted_comes_back_whole(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx], wake: Wake
) -> None:
    async with running(relay_of(pool, builder, wake).run):
        await say(database, 30, entities=3)
        await eventually(complete(pool))

        async with admin(nats_server) as operator:
            await operator.api(f"STREAM.DELETE.{STREAM}")

        await eventually(reaches(builder, 30))
        await eventually(complete(pool))

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_a_stream_of_a_later_life_is_filled_however_long_it_is(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)
    await relay_of(pool, builder).flush()
    async with admin(nats_server) as operator:
        await operator.api(f"STREAM.DELETE.{STREAM}")
    await builder.ensure_stream(SOURCE)
    strangers = [message(entity=n) for n in range(5)]
    await builder.publish_batch(strangers, stream=STREAM)

    await relay_of(pool, builder).flush()

    assert await stored(builder) == [*(each.id for each in strangers), *await outbox(pool)]


async def test_a_stream_that_lost_its_end_gets_it_back(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 20)
    first = relay_of(pool, builder)
    await first.flush()
    await pool.execute(  # as if five more had been said and the disk had forgotten them
        "UPDATE outbox_relay SET last_seq = 25"
    )
    await say(database, 5, first=21)
    await pool.execute(
        "UPDATE outbox SET published_at = now(), stream_seq = 20 + n FROM "
        "(SELECT id, row_number() OVER (ORDER BY id) AS n FROM outbox WHERE published_at IS NULL) "
        "AS lost WHERE lost.id = outbox.id"
    )

    await relay_of(pool, builder).flush()

    assert await stored(builder) == await outbox(pool) == await recorded(pool)


async def test_a_refill_keeps_to_the_age_that_the_stream_would_have(
    nats_server: NatsServer, builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 1)
    await relay_of(pool, builder).flush()
    old = UUID("01000000-0000-7000-8000-000000000000")
    await pool.execute("UPDATE outbox SET id = $1", old)
    await say(database, 1, first=2)
    await relay_of(pool, builder).flush()
    async with admin(nats_server) as operator:
        await operator.api(f"STREAM.DELETE.{STREAM}")

    await relay_of(pool, builder).flush()

    assert await stored(builder) == [each for each in await outbox(pool) if each != str(old)]


@pytest.mark.parametrize("lost", ["disk", "stream", "consumer"])
async def test_no_effect_happens_twice_and_none_is_missing(
    nats_server: NatsServer,
    builder: Bus,
    deployer: Bus,
    pool: Pool,
    database: Database[Tx],
    wake: Wake,
    lost: str,
) -> None:
    applied: list[str] = []

    async def apply(envelope: Envelope[Any]) -> None:
        async with database.transaction() as tx:
            if await tx.inbox.claim(SPEC.durable, envelope.id):
                applied.append(str(envelope.id))

    recorder = Recorder(apply)
    subscription = Subscription(deployer, SPEC, recorder, DeadLetters(pool))
    async with running(relay_of(pool, builder, wake).run, subscription.run):
        await say(database, 40, entities=4)
        await eventually(lambda: len(applied) == 40)

        await _lose(lost, nats_server)
        await say(database, 10, entities=4, first=41)
        await eventually(lambda: len(applied) == 50)
        await eventually(lambda: len(set(recorder.ids)) == 50 and len(recorder.ids) >= 90)

    assert applied == await outbox(pool)


async def _lose(what: str, server: NatsServer) -> None:
    if what == "disk":
        server.kill()
        server.lose_disk()
        server.start()
        return
    verb = f"STREAM.DELETE.{STREAM}" if what == "stream" else f"CONSUMER.DELETE.{AT}"
    async with admin(server) as operator:
        await operator.api(verb)
