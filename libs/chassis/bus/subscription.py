"""One durable pull consumer: one pull loop, ordered lanes, acknowledgements, heartbeats."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final

import structlog
from nats.aio.msg import Msg

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.delivery import (
    HANDLER_LIMIT,
    Again,
    Buried,
    Delivered,
    Delivery,
    Done,
    Handler,
    Letters,
    Outcome,
)
from libs.chassis.bus.errors import BusRefusedError, BusUnavailableError
from libs.chassis.bus.streams import NOT_FOUND, nanoseconds
from libs.contracts.bus import ConsumerSpec

log = structlog.get_logger(__name__)

ACK_WAIT: Final = timedelta(seconds=30)
PULL_EXPIRES: Final = timedelta(seconds=5)
GRACE: Final = timedelta(seconds=5)
"""How long a handler that runs when the process stops may take to end."""

_PULL_SLACK: Final = timedelta(seconds=1)
_ABSENT: Final = timedelta(seconds=0.2)
_TERM_WAIT: Final = timedelta(seconds=2)
_TERM_CHARS: Final = 512
_ACK: Final = "$JS.ACK."
_EXPIRED: Final = "408"
_PREFETCH: Final = 16
_MAX_ACK_PENDING: Final = 256
"""Delayed messages count as pending: enough that a poisoned few never hold up the rest."""


def config(spec: ConsumerSpec, *, ack_wait: timedelta) -> dict[str, Any]:
    """The durable consumer. The server never gives up on a message; ``Delivery`` decides."""
    return {
        "name": spec.durable,
        "durable_name": spec.durable,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": nanoseconds(ack_wait),
        "max_deliver": -1,
        "max_ack_pending": _MAX_ACK_PENDING,
        "filter_subjects": list(spec.subjects),
    }


class _Nudge(Enum):
    """What the pull loop hears beside messages."""

    FREED = auto()
    RECONNECTED = auto()
    SILENT = auto()


class _Held:
    """A message in this process's hands: waiting in a lane or being handled."""

    def __init__(self, raw: Msg) -> None:
        tokens = raw.reply.split(".")
        headers = raw.headers or {}
        self.reply = raw.reply
        self.entity = raw.subject.rpartition(".")[2]
        self.delivered = Delivered(
            id=headers.get("Nats-Msg-Id") or f"{tokens[2]}:{tokens[5]}:{tokens[7]}",
            subject=raw.subject,
            body=raw.data,
            attempt=int(tokens[4]),
        )


class Subscription:
    """Pulls for as long as it runs. Messages of one entity are handled one after another.

    ``concurrency`` entities may be handled at once. When cancelled it stops pulling, gives
    waiting messages back, lets running handlers end for a moment, and only then ends.
    """

    def __init__(  # noqa: PLR0917 -- its four parts, in the order in which a message meets them
        self,
        bus: Bus,
        spec: ConsumerSpec,
        handler: Handler,
        deadletters: Letters,
        *,
        concurrency: int = 1,
        ack_wait: timedelta = ACK_WAIT,
        limit: timedelta = HANDLER_LIMIT,
    ) -> None:
        self._bus = bus
        self._spec = spec
        self._delivery = Delivery(spec, handler, deadletters, limit=limit)
        self._ack_wait = ack_wait
        self._window = max(_PREFETCH, concurrency * 2)
        self._lanes: list[asyncio.Queue[_Held]] = [asyncio.Queue() for _ in range(concurrency)]
        self._held: set[_Held] = set()
        self._events: asyncio.Queue[Msg | _Nudge] = asyncio.Queue()
        self._pulls = 0

    async def run(self) -> None:
        """Never returns. A consumer that the server refuses to be as described is an error."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._work(lane), name=f"{self._spec.durable} lane")
            group.create_task(self._beat(), name=f"{self._spec.durable} heartbeat")
            forget = self._bus.on_reconnect(self._on_reconnect)
            try:
                await self._receive()
            finally:
                forget()
                await self._settle()

    def _on_reconnect(self) -> None:
        self._events.put_nowait(_Nudge.RECONNECTED)

    async def _receive(self) -> None:
        inbox, leave = await self._inbox()
        try:
            while True:
                await self._ensure_consumer()
                with suppress(BusUnavailableError):
                    await self._pull(inbox)
        finally:
            await leave()

    async def _inbox(self) -> tuple[str, Callable[[], Awaitable[None]]]:
        while True:
            try:
                return await self._bus.listen(self._events.put)
            except BusUnavailableError:
                await asyncio.sleep(_ABSENT.total_seconds())

    async def _ensure_consumer(self) -> None:
        """Create it, or make it what the code says; wait for a stream that is not there yet."""
        at = f"{self._spec.stream}.{self._spec.durable}"
        wanted = config(self._spec, ack_wait=self._ack_wait)
        while True:
            try:
                found = await self._found(at)
                if found is None or _drifted(found, wanted):
                    log.info("consumer.described", consumer=at, existed=found is not None)
                    body = {"stream_name": self._spec.stream, "config": wanted}
                    await self._bus.api(f"CONSUMER.CREATE.{at}", body)
            except BusUnavailableError:
                pass
            except BusRefusedError as error:
                if error.status != NOT_FOUND:
                    raise
            else:
                return
            await asyncio.sleep(_ABSENT.total_seconds())

    async def _found(self, at: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = (await self._bus.api(f"CONSUMER.INFO.{at}"))["config"]
        except BusRefusedError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        return found

    async def _pull(self, inbox: str) -> None:
        """Pull until something is odd; then the consumer is looked at and all starts again."""
        clock = asyncio.get_running_loop()
        wanted, deadline = 0, clock.time()
        while True:
            if wanted <= 0 and len(self._held) <= self._window // 2:
                wanted = self._window - len(self._held)
                deadline = clock.time() + (PULL_EXPIRES + _PULL_SLACK).total_seconds()
                await self._ask(inbox, wanted)
            event = await self._next(deadline if wanted > 0 else None)
            if event is _Nudge.FREED:
                continue
            if not isinstance(event, Msg):
                return
            if event.reply.startswith(_ACK):
                self._take(event)
                wanted -= 1
            elif event.subject == f"{inbox}.{self._pulls}":
                if (event.headers or {}).get("Status") != _EXPIRED:
                    await asyncio.sleep(_ABSENT.total_seconds())
                    return
                wanted = 0

    async def _next(self, deadline: float | None) -> "Msg | _Nudge":
        try:
            async with asyncio.timeout_at(deadline):
                return await self._events.get()
        except TimeoutError:
            return _Nudge.SILENT

    async def _ask(self, inbox: str, batch: int) -> None:
        self._pulls += 1
        body = json.dumps({"batch": batch, "expires": nanoseconds(PULL_EXPIRES)}).encode()
        at = f"{self._spec.stream}.{self._spec.durable}"
        await self._bus.say(f"$JS.API.CONSUMER.MSG.NEXT.{at}", body, reply=f"{inbox}.{self._pulls}")

    def _take(self, raw: Msg) -> None:
        held = _Held(raw)
        self._held.add(held)
        self._lanes[hash(held.entity) % len(self._lanes)].put_nowait(held)

    async def _work(self, lane: "asyncio.Queue[_Held]") -> None:
        while True:
            held = await lane.get()
            outcome: Outcome = Again(timedelta(0), "cancelled")
            try:
                outcome = await self._delivery.deliver(held.delivered)
            finally:
                self._held.discard(held)
                self._events.put_nowait(_Nudge.FREED)
                await self._answer(held.reply, outcome)

    async def _answer(self, reply: str, outcome: Outcome) -> None:
        """Best effort: without an answer the message comes again, and the inbox knows it."""
        with suppress(BusUnavailableError):
            match outcome:
                case Done():
                    await self._bus.say(reply, b"+ACK")
                case Again(delay, _):
                    body = json.dumps({"delay": nanoseconds(delay)}).encode() if delay else b""
                    await self._bus.say(reply, b"-NAK " + body)
                case Buried(code, reason):
                    told = f"+TERM {code}: {reason}"[:_TERM_CHARS].replace("\n", " ")
                    await self._bus.request(reply, told.encode(), timeout=_TERM_WAIT)

    async def _beat(self) -> None:
        """What is in hand is being worked on; what hangs is ended by the handler's limit."""
        while True:
            await asyncio.sleep(self._ack_wait.total_seconds() / 3)
            for held in tuple(self._held):
                with suppress(BusUnavailableError):
                    await self._bus.say(held.reply, b"+WPI")

    async def _settle(self) -> None:
        """What waits goes back at once; running handlers get a moment to end."""
        waiting = [lane.get_nowait() for lane in self._lanes for _ in range(lane.qsize())]
        arrived = [self._events.get_nowait() for _ in range(self._events.qsize())]
        for held in waiting:
            self._held.discard(held)
            await self._answer(held.reply, Again(timedelta(0), "stopping"))
        for each in arrived:
            if isinstance(each, Msg) and each.reply.startswith(_ACK):
                await self._answer(each.reply, Again(timedelta(0), "stopping"))
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE.total_seconds()):
                while self._held:
                    await self._events.get()


def _drifted(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return any(found.get(key) != value for key, value in wanted.items())
