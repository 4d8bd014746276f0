"""What becomes of a message, on a real server and a real database."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from libs.chassis.bus import Bus, Message, Subscription
from libs.chassis.deadletters import DeadLetters
from libs.chassis.inbox import Inbox
from libs.chassis.postgres import Database, Pool
from libs.contracts.event import Envelope
from tests.support.facts import ORG, admin, message
from tests.support.handlers import (
    SPEC,
    BusyError,
    Forgetful,
    Recorder,
    UnfitError,
    publish,
    settled,
)
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer


async def test_what_a_handler_does_is_caused_by_its_event(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    sent = message()

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, sent)
        await eventually(recorder.has(1))

    [cause] = recorder.causes
    assert (cause.actor, cause.org_id) == ("service:deployer", ORG)
    assert (str(cause.causation_id), cause.correlation_id) == (sent.id, "a-test")


async def test_a_transient_refusal_comes_again_later_and_without_limit(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    refusals = 12

    async def refuse(_: Envelope[Any]) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise BusyError("not now", retry_after=timedelta(milliseconds=30))

    recorder = Recorder(refuse)

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    gaps = [late - soon for soon, late in zip(recorder.moments, recorder.moments[1:], strict=False)]
    assert len(gaps) == 12
    assert min(gaps) >= 0.03
    assert await DeadLetters(pool).unresolved() == []


async def test_a_refused_message_is_buried_and_the_rest_goes_on(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    async def refuse(envelope: Envelope[Any]) -> None:
        if envelope.data.reason == "bad":
            raise UnfitError("cannot be")

    recorder = Recorder(refuse)
    bad = message(reason="bad")

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message(), bad, message())
        await eventually(recorder.has(2))
        await eventually(lambda: settled(nats_server, 3))

    [letter] = await DeadLetters(pool).unresolved()
    assert (letter.message_id, letter.code, letter.reason) == (bad.id, "unfit", "cannot be")
    assert (letter.body, letter.attempts, str(letter.event_id)) == (bad.body, 1, bad.id)


async def test_a_terminated_message_says_why(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    async def refuse(_: Envelope[Any]) -> None:
        raise UnfitError("cannot be\nat all")

    async with admin(nats_server) as operator:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        client = operator._client
        await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", cb=heard.put)
        await operator.round_trip()

        async with running(Subscription(deployer, SPEC, Recorder(refuse), DeadLetters(pool)).run):
            await publish(builder, message())
            async with asyncio.timeout(5):
                advisory = await heard.get()

    assert b"unfit: cannot be at all" in advisory.data


async def test_a_crashing_message_is_buried_after_eight_attempts(
    nats_server: NatsServer,
    builder: Bus,
    deployer: Bus,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.chassis.bus.delivery._LONGEST_DELAY", timedelta(milliseconds=20))

    async def crash(envelope: Envelope[Any]) -> None:
        if envelope.data.reason == "bad":
            raise ZeroDivisionError("boom")

    recorder = Recorder(crash)

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message(reason="bad"), message())
        await eventually(lambda: settled(nats_server, 2))

    assert len(recorder.moments) == 8 + 1
    [letter] = await DeadLetters(pool).unresolved()
    assert (letter.code, letter.reason) == ("attempts-exhausted", "ZeroDivisionError: boom")
    assert letter.attempts == 8


async def test_bytes_that_are_no_event_are_buried(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    good = message()
    bodies = [b"", b"{", b"\xff\x00", b"[" * 100_000, good.body.replace(b"image.failed", b"x.y")]

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool)).run):
        bad = [Message(f"bad-{n}", good.subject, body) for n, body in enumerate(bodies)]
        await publish(builder, *bad, good)
        await eventually(recorder.has(1))
        await eventually(lambda: settled(nats_server, 6))

    letters = await DeadLetters(pool).unresolved()
    assert [each.body for each in letters] == bodies
    assert {each.code for each in letters} <= {"malformed-event", "misdirected-event"}


async def test_a_handler_that_hangs_is_ended_and_its_message_comes_again(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    hangs = [True]

    async def hang(_: Envelope[Any]) -> None:
        if hangs:
            hangs.clear()
            await asyncio.Event().wait()

    recorder = Recorder(hang)
    limit = timedelta(seconds=0.3)

    async with running(Subscription(deployer, SPEC, recorder, DeadLetters(pool), limit=limit).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    assert len(recorder.moments) == 2


async def test_an_effect_whose_ack_was_lost_happens_once(
    nats_server: NatsServer, builder: Bus, pool: Pool
) -> None:
    applied: list[str] = []
    database = Database(pool, Inbox)

    async def apply(envelope: Envelope[Any]) -> None:
        async with database.transaction() as inbox:
            if await inbox.claim(SPEC.durable, envelope.id):
                applied.append(str(envelope.id))

    recorder = Recorder(apply)
    sent = message()
    wait = timedelta(seconds=0.5)
    async with (
        await Forgetful.opened(nats_server) as deployer,
        running(Subscription(deployer, SPEC, recorder, DeadLetters(pool), ack_wait=wait).run),
    ):
        await publish(builder, sent)
        await eventually(recorder.has(2))
        await eventually(lambda: settled(nats_server, 1))

    assert applied == [sent.id]


async def test_a_message_that_kills_its_process_is_buried_untried(
    nats_server: NatsServer, builder: Bus, deployer: Bus, pool: Pool
) -> None:
    letters, sent = DeadLetters(pool), message()
    for _ in range(8):
        await letters.strike(SPEC.durable, sent.id)
    once = [True]

    async def defer_once(_: Envelope[Any]) -> None:
        if once:
            once.clear()
            raise BusyError("not now", retry_after=timedelta(milliseconds=1))

    recorder = Recorder(defer_once)

    async with running(Subscription(deployer, SPEC, recorder, letters).run):
        await publish(builder, sent)
        await eventually(lambda: settled(nats_server, 1))

    assert recorder.handled == []
    [letter] = await letters.unresolved()
    assert letter.code == "attempts-exhausted"


async def test_a_database_that_is_away_delays_and_buries_nothing(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    broken = [3]

    class Broken(DeadLetters):
        @override
        async def strike(self, consumer: str, message_id: str) -> int:
            broken[0] -= 1
            if broken[0] >= 0:
                raise BusyError("database away", retry_after=timedelta(milliseconds=10))
            return await super().strike(consumer, message_id)

    first = [True]

    async def crash_once(_: Envelope[Any]) -> None:
        if first:
            first.clear()
            raise ZeroDivisionError

    recorder = Recorder(crash_once)

    async with running(Subscription(deployer, SPEC, recorder, Broken(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    assert await DeadLetters(pool).unresolved() == []
