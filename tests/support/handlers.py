"""Handlers that keep what they saw, and what became of it on the server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from nats.aio.client import Client
from typing_extensions import override

from libs.chassis import context
from libs.chassis.bus import Bus, BusRefusedError, Message
from libs.chassis.context import Cause
from libs.chassis.errors import Kind, ServiceError
from libs.contracts.event import Envelope
from tests.support.facts import STREAM, admin, consumer
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


class Forgetful(Bus):
    """Loses the first acknowledgement."""

    _lost = False

    @classmethod
    async def opened(cls, server: NatsServer) -> Self:
        bus = cls(Client(), SPEC.service)
        await bus.open(server.url(SPEC.service), ping_interval=timedelta(seconds=5))
        return bus

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
