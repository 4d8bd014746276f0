"""One durable consumer against a real server: order, reconnects, drift, stops."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.chassis.bus import Bus, BusRefusedError, Subscription, connect, subscription
from libs.chassis.deadletters import DeadLetters
from libs.chassis.postgres import Pool
from libs.contracts.event import Envelope
from tests.support.facts import SOURCE, STREAM, admin, message
from tests.support.handlers import (
    AT,
    SPEC,
    Recorder,
    info,
    publish,
    settled,
)
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer


async def test_messages_are_handled_in_order_and_acknowledged(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    sent = [message(entity=n % 3 + 1) for n in range(100)]

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, *sent)
        await eventually(recorder.has(100))
        await eventually(lambda: settled(nats_server, 100))

    assert recorder.ids == [each.id for each in sent]


async def test_a_consumer_waits_for_a_stream_that_is_not_there_yet(
    nats_server: NatsServer, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await asyncio.sleep(0.5)
        async with await connect(nats_server.url(SOURCE), SOURCE) as builder:
            await builder.ensure_stream(SOURCE)
            await publish(builder, message())

        await eventually(recorder.has(1), within=timedelta(seconds=2))


async def test_messages_wait_for_no_other_to_fill_a_batch(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))
        for count in range(2, 40):
            await publish(builder, message())
            await eventually(recorder.has(count), within=timedelta(seconds=1))


@pytest.mark.parametrize("how", ["kill", "hang"])
async def test_messages_flow_again_after_a_reconnect(
    nats_server: NatsServer, pool: Pool, how: str
) -> None:
    recorder = Recorder()
    ping = timedelta(seconds=0.3)
    async with (
        await connect(nats_server.url(SOURCE), SOURCE, ping_interval=ping) as builder,
        await connect(nats_server.url("deployer"), "deployer", ping_interval=ping) as deployer,
    ):
        await builder.ensure_stream(SOURCE)
        async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
            await publish(builder, message())
            await eventually(recorder.has(1))

            nats_server.kill() if how == "kill" else nats_server.pause()
            await eventually(lambda: not deployer.connected and not builder.connected)
            nats_server.start() if how == "kill" else nats_server.resume()
            await eventually(lambda: deployer.connected and builder.connected)
            await publish(builder, message())

            await eventually(recorder.has(2), within=timedelta(seconds=2))


async def test_a_consumer_that_was_deleted_is_made_again(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))
        await eventually(lambda: settled(nats_server, 1))

        async with admin(nats_server) as operator:
            await operator.api(f"CONSUMER.DELETE.{AT}")
        fresh = message()
        await publish(builder, fresh)

        await eventually(lambda: fresh.id in recorder.ids, within=timedelta(seconds=2))


async def test_a_consumer_of_other_settings_is_changed(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    await builder.round_trip()
    body = {"name": SPEC.durable, "durable_name": SPEC.durable, "ack_policy": "explicit"}
    async with admin(nats_server) as operator:
        wrong = {"stream_name": STREAM, "config": body | {"max_deliver": 1, "max_ack_pending": 1}}
        await operator.api(f"CONSUMER.CREATE.{AT}", wrong)
    recorder = Recorder()

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))
        found = (await info(nats_server))["config"]

    wanted = subscription.config(SPEC, ack_wait=subscription.ACK_WAIT)
    assert {key: found.get(key) for key in wanted} == wanted


async def test_a_consumer_that_cannot_be_as_the_code_says_is_refused(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    await builder.round_trip()
    body = {"name": SPEC.durable, "durable_name": SPEC.durable, "ack_policy": "all"}
    async with admin(nats_server) as operator:
        await operator.api(f"CONSUMER.CREATE.{AT}", {"stream_name": STREAM, "config": body})

    with pytest.raises(ExceptionGroup) as refused:
        async with asyncio.timeout(5):
            await Subscription(deployer, SPEC, Recorder(), DeadLetters(pool)).run()

    assert refused.group_contains(BusRefusedError)


async def test_a_slow_handler_keeps_its_message(builder: Bus, deployer: Bus, pool: Pool) -> None:
    async def slow(_: Envelope[Any]) -> None:
        await asyncio.sleep(1.5)

    recorder = Recorder(slow)
    wait = timedelta(seconds=0.5)

    async with running(
        Subscription(deployer, SPEC, recorder, DeadLetters(pool), ack_wait=wait).run
    ):
        await publish(builder, message(), message())
        await eventually(recorder.has(2))

    assert len(recorder.moments) == 2


async def test_one_entity_is_never_handled_twice_at_once(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    running_now: set[Any] = set()
    most = 0

    async def watch(envelope: Envelope[Any]) -> None:
        nonlocal most
        assert envelope.entityid not in running_now
        running_now.add(envelope.entityid)
        most = max(most, len(running_now))
        await asyncio.sleep(0.005)
        running_now.remove(envelope.entityid)

    recorder = Recorder(watch)
    sent = [message(entity=n % 8 + 1, seq=n // 8 + 1) for n in range(80)]

    async with running(
        Subscription(deployer, SPEC, recorder, DeadLetters(pool), concurrency=4).run
    ):
        await publish(builder, *sent)
        await eventually(recorder.has(80))

    assert most > 1
    for entity in {each.entityid for each in recorder.handled}:
        versions = [each.entityseq for each in recorder.handled if each.entityid == entity]
        assert versions == sorted(versions)


async def test_a_stopping_subscription_lets_the_running_handler_end(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    started = asyncio.Event()

    async def slow(_: Envelope[Any]) -> None:
        started.set()
        await asyncio.sleep(0.3)

    recorder = Recorder(slow)
    sent = [message() for _ in range(5)]
    await publish(builder, *sent)

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await started.wait()

    assert recorder.ids == [sent[0].id]
    await deployer.round_trip()
    assert (await info(nats_server))["ack_floor"]["stream_seq"] == 1

    successor = Recorder()
    async with running(Subscription(deployer, SPEC, successor, DeadLetters(pool)).run):
        await eventually(successor.has(4), within=timedelta(seconds=2))
    assert set(successor.ids) == {each.id for each in sent[1:]}


async def test_a_stop_does_not_wait_for_a_handler_that_hangs(
    builder: Bus, deployer: Bus, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "GRACE", timedelta(seconds=0.3))
    started = asyncio.Event()

    async def hang(_: Envelope[Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    await publish(builder, message())
    async with asyncio.timeout(3):
        async with running(Subscription(deployer, SPEC, Recorder(hang), DeadLetters(pool)).run):
            await started.wait()

    successor = Recorder()
    async with running(Subscription(deployer, SPEC, successor, DeadLetters(pool)).run):
        await eventually(successor.has(1), within=timedelta(seconds=2))
