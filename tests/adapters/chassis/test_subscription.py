"""One durable consumer against a real server and a real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from typing_extensions import override

from libs.chassis import context
from libs.chassis.bus import Bus, BusRefusedError, Message, Subscription, connect, subscription
from libs.chassis.context import Cause
from libs.chassis.deadletters import DeadLetters
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.inbox import Inbox
from libs.chassis.postgres import Connection, Database, Pool
from libs.contracts.event import Envelope
from tests.support.facts import ORG, SOURCE, STREAM, admin, consumer, message
from tests.support.loops import eventually, running
from tests.support.nats import NatsServer

SPEC = consumer()
AT = f"{SPEC.stream}.{SPEC.durable}"
Handle = Callable[[Envelope[Any]], Awaitable[None]]


class BusyError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "busy"
    title: ClassVar[str] = "Busy"


class UnfitError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "unfit"
    title: ClassVar[str] = "Unfit"


class Recorder:
    """Keeps what it handled; ``handle`` may refuse first."""

    def __init__(self, handle: Handle | None = None) -> None:
        self.handled: list[Envelope[Any]] = []
        self.moments: list[float] = []
        self.causes: list[Cause] = []
        self._handle = handle

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:
        assert Envelope.model_validate_json(raw).id == envelope.id
        self.moments.append(asyncio.get_running_loop().time())
        if self._handle is not None:
            await self._handle(envelope)
        self.causes.append(context.current())
        self.handled.append(envelope)

    @property
    def ids(self) -> list[str]:
        return [str(each.id) for each in self.handled]

    def has(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.handled) >= count


@pytest.fixture
async def builder(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        await bus.ensure_stream(SOURCE)
        yield bus


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with await connect(nats_server.url("deployer"), "deployer") as opened:
        yield opened


async def publish(builder: Bus, *messages: Message) -> None:
    await builder.publish_batch(messages, stream=STREAM)


async def info(server: NatsServer) -> Mapping[str, Any]:
    async with admin(server) as operator:
        return await operator.api(f"CONSUMER.INFO.{AT}")


async def settled(server: NatsServer, seq: int) -> bool:
    """Everything up to ``seq`` is acknowledged or terminated."""
    try:
        return int((await info(server))["ack_floor"]["stream_seq"]) == seq
    except BusRefusedError:
        return False


async def test_messages_are_handled_in_order_and_acknowledged(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    sent = [message(entity=n % 3 + 1) for n in range(100)]

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, *sent)
        await eventually(recorder.has(100))
        await eventually(lambda: settled(nats_server, 100))

    assert recorder.ids == [each.id for each in sent]


async def test_what_a_handler_does_is_caused_by_its_event(
    builder: Bus, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    sent = message()

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, sent)
        await eventually(recorder.has(1))

    [cause] = recorder.causes
    assert (cause.actor, cause.org_id) == ("service:deployer", ORG)
    assert (str(cause.causation_id), cause.correlation_id) == (sent.id, "a-test")


async def test_a_consumer_waits_for_a_stream_that_is_not_there_yet(
    nats_server: NatsServer, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await asyncio.sleep(0.5)
        async with await connect(nats_server.url(SOURCE), SOURCE) as builder:
            await builder.ensure_stream(SOURCE)
            await publish(builder, message())

        await eventually(recorder.has(1), within=timedelta(seconds=2))


async def test_a_transient_refusal_comes_again_later_and_without_limit(
    builder: Bus, bus: Bus, pool: Pool
) -> None:
    refusals = 12

    async def refuse(_: Envelope[Any]) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise BusyError("not now", retry_after=timedelta(milliseconds=30))

    recorder = Recorder(refuse)

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    gaps = [late - soon for soon, late in zip(recorder.moments, recorder.moments[1:], strict=False)]
    assert len(gaps) == 12
    assert min(gaps) >= 0.03
    assert await DeadLetters(pool).unresolved() == []


async def test_a_refused_message_is_buried_and_the_rest_goes_on(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    async def refuse(envelope: Envelope[Any]) -> None:
        if envelope.data.reason == "bad":
            raise UnfitError("cannot be")

    recorder = Recorder(refuse)
    bad = message(reason="bad")

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message(), bad, message())
        await eventually(recorder.has(2))
        await eventually(lambda: settled(nats_server, 3))

    [letter] = await DeadLetters(pool).unresolved()
    assert (letter.message_id, letter.code, letter.reason) == (bad.id, "unfit", "cannot be")
    assert (letter.body, letter.attempts, str(letter.event_id)) == (bad.body, 1, bad.id)


async def test_a_terminated_message_says_why(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    async def refuse(_: Envelope[Any]) -> None:
        raise UnfitError("cannot be\nat all")

    async with admin(nats_server) as operator:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        client = operator._client
        await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", cb=heard.put)
        await operator.round_trip()

        async with running(Subscription(bus, SPEC, Recorder(refuse), DeadLetters(pool)).run):
            await publish(builder, message())
            async with asyncio.timeout(5):
                advisory = await heard.get()

    assert b"unfit: cannot be at all" in advisory.data


async def test_a_crashing_message_is_buried_after_eight_attempts(
    nats_server: NatsServer,
    builder: Bus,
    bus: Bus,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.chassis.bus.delivery._LONGEST_DELAY", timedelta(milliseconds=20))

    async def crash(envelope: Envelope[Any]) -> None:
        if envelope.data.reason == "bad":
            raise ZeroDivisionError("boom")

    recorder = Recorder(crash)

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message(reason="bad"), message())
        await eventually(lambda: settled(nats_server, 2))

    assert len(recorder.moments) == 8 + 1
    [letter] = await DeadLetters(pool).unresolved()
    assert (letter.code, letter.reason) == ("attempts-exhausted", "ZeroDivisionError: boom")
    assert letter.attempts == 8


async def test_bytes_that_are_no_event_are_buried(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    good = message()
    bodies = [b"", b"{", b"\xff\x00", b"[" * 100_000, good.body.replace(b"image.failed", b"x.y")]

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        bad = [Message(f"bad-{n}", good.subject, body) for n, body in enumerate(bodies)]
        await publish(builder, *bad, good)
        await eventually(recorder.has(1))
        await eventually(lambda: settled(nats_server, 6))

    letters = await DeadLetters(pool).unresolved()
    assert [each.body for each in letters] == bodies
    assert {each.code for each in letters} <= {"malformed-event", "misdirected-event"}


async def test_messages_wait_for_no_other_to_fill_a_batch(
    builder: Bus, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
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
        await connect(nats_server.url("deployer"), "deployer", ping_interval=ping) as bus,
    ):
        await builder.ensure_stream(SOURCE)
        async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
            await publish(builder, message())
            await eventually(recorder.has(1))

            nats_server.kill() if how == "kill" else nats_server.pause()
            await eventually(lambda: not bus.connected and not builder.connected)
            nats_server.start() if how == "kill" else nats_server.resume()
            await eventually(lambda: bus.connected and builder.connected)
            await publish(builder, message())

            await eventually(recorder.has(2), within=timedelta(seconds=2))


async def test_a_consumer_that_was_deleted_is_made_again(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    recorder = Recorder()
    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))
        await eventually(lambda: settled(nats_server, 1))

        async with admin(nats_server) as operator:
            await operator.api(f"CONSUMER.DELETE.{AT}")
        fresh = message()
        await publish(builder, fresh)

        await eventually(lambda: fresh.id in recorder.ids, within=timedelta(seconds=2))


async def test_a_consumer_of_other_settings_is_changed(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    await builder.round_trip()
    body = {"name": SPEC.durable, "durable_name": SPEC.durable, "ack_policy": "explicit"}
    async with admin(nats_server) as operator:
        wrong = {"stream_name": STREAM, "config": body | {"max_deliver": 1, "max_ack_pending": 1}}
        await operator.api(f"CONSUMER.CREATE.{AT}", wrong)
    recorder = Recorder()

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))
        found = (await info(nats_server))["config"]

    wanted = subscription.config(SPEC, ack_wait=subscription.ACK_WAIT)
    assert {key: found.get(key) for key in wanted} == wanted


async def test_a_consumer_that_cannot_be_as_the_code_says_is_refused(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    await builder.round_trip()
    body = {"name": SPEC.durable, "durable_name": SPEC.durable, "ack_policy": "all"}
    async with admin(nats_server) as operator:
        await operator.api(f"CONSUMER.CREATE.{AT}", {"stream_name": STREAM, "config": body})

    with pytest.raises(ExceptionGroup) as refused:
        async with asyncio.timeout(5):
            await Subscription(bus, SPEC, Recorder(), DeadLetters(pool)).run()

    assert refused.group_contains(BusRefusedError)


async def test_a_slow_handler_keeps_its_message(builder: Bus, bus: Bus, pool: Pool) -> None:
    async def slow(_: Envelope[Any]) -> None:
        await asyncio.sleep(1.5)

    recorder = Recorder(slow)
    wait = timedelta(seconds=0.5)

    async with running(
        Subscription(bus, SPEC, recorder, DeadLetters(pool), ack_wait=wait).run
    ):
        await publish(builder, message(), message())
        await eventually(recorder.has(2))

    assert len(recorder.moments) == 2


async def test_a_handler_that_hangs_is_ended_and_its_message_comes_again(
    builder: Bus, bus: Bus, pool: Pool
) -> None:
    hangs = [True]

    async def hang(_: Envelope[Any]) -> None:
        if hangs:
            hangs.clear()
            await asyncio.Event().wait()

    recorder = Recorder(hang)
    limit = timedelta(seconds=0.3)

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool), limit=limit).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    assert len(recorder.moments) == 2


async def test_one_entity_is_never_handled_twice_at_once(
    builder: Bus, bus: Bus, pool: Pool
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

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool), concurrency=4).run):
        await publish(builder, *sent)
        await eventually(recorder.has(80))

    assert most > 1
    for entity in {each.entityid for each in recorder.handled}:
        versions = [each.entityseq for each in recorder.handled if each.entityid == entity]
        assert versions == sorted(versions)


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
    async with _Forgetful.opened(nats_server) as bus:
        async with running(
            Subscription(bus, SPEC, recorder, DeadLetters(pool), ack_wait=wait).run
        ):
            await publish(builder, sent)
            await eventually(recorder.has(2))
            await eventually(lambda: settled(nats_server, 1))

    assert applied == [sent.id]


class _Forgetful(Bus):
    """Loses the first acknowledgement."""

    _lost = False

    @classmethod
    def opened(cls, server: NatsServer) -> "_Opened":
        return _Opened(server)

    @override
    async def say(
        self,
        subject: str,
        body: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if body == b"+ACK" and not self._lost:
            self._lost = True
            return
        await super().say(subject, body, reply=reply, headers=headers)


class _Opened:
    def __init__(self, server: NatsServer) -> None:
        from nats.aio.client import Client

        self._server = server
        self._bus = _Forgetful(Client(), "deployer")

    async def __aenter__(self) -> Bus:
        await self._bus.open(self._server.url("deployer"), ping_interval=timedelta(seconds=5))
        return self._bus

    async def __aexit__(self, *_: object) -> None:
        await self._bus.close()


async def test_a_stopping_subscription_lets_the_running_handler_end(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
) -> None:
    started = asyncio.Event()

    async def slow(_: Envelope[Any]) -> None:
        started.set()
        await asyncio.sleep(0.3)

    recorder = Recorder(slow)
    sent = [message() for _ in range(5)]
    await publish(builder, *sent)

    async with running(Subscription(bus, SPEC, recorder, DeadLetters(pool)).run):
        await started.wait()

    assert recorder.ids == [sent[0].id]
    await bus.round_trip()
    assert (await info(nats_server))["ack_floor"]["stream_seq"] == 1

    successor = Recorder()
    async with running(Subscription(bus, SPEC, successor, DeadLetters(pool)).run):
        await eventually(successor.has(4), within=timedelta(seconds=2))
    assert set(successor.ids) == {each.id for each in sent[1:]}


async def test_a_stop_does_not_wait_for_a_handler_that_hangs(
    builder: Bus, bus: Bus, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "GRACE", timedelta(seconds=0.3))
    started = asyncio.Event()

    async def hang(_: Envelope[Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    await publish(builder, message())
    async with asyncio.timeout(3):
        async with running(Subscription(bus, SPEC, Recorder(hang), DeadLetters(pool)).run):
            await started.wait()

    successor = Recorder()
    async with running(Subscription(bus, SPEC, successor, DeadLetters(pool)).run):
        await eventually(successor.has(1), within=timedelta(seconds=2))


async def test_a_message_that_kills_its_process_is_buried_untried(
    nats_server: NatsServer, builder: Bus, bus: Bus, pool: Pool
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

    async with running(Subscription(bus, SPEC, recorder, letters).run):
        await publish(builder, sent)
        await eventually(lambda: settled(nats_server, 1))

    assert recorder.handled == []
    [letter] = await letters.unresolved()
    assert letter.code == "attempts-exhausted"


async def test_a_database_that_is_away_delays_and_buries_nothing(
    builder: Bus, bus: Bus, pool: Pool
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

    async with running(Subscription(bus, SPEC, recorder, Broken(pool)).run):
        await publish(builder, message())
        await eventually(recorder.has(1))

    assert await DeadLetters(pool).unresolved() == []


