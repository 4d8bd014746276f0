"""Publishers that do what the bus does and break at one point of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from typing_extensions import override

from libs.chassis.bus import Bus, BusUnavailableError, Message
from libs.chassis.bus.streams import StreamState


class Crash(BaseException):
    """The process ends here: nothing may catch it."""


class Passing:
    """A publisher that does what the bus does; subclasses break at one point."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def ensure_stream(self, service: str) -> StreamState:
        return await self.bus.ensure_stream(service)

    async def state(self, stream: str) -> StreamState:
        return await self.bus.state(stream)

    async def acknowledged(self, stream: str, consumer: str) -> int:
        return await self.bus.acknowledged(stream, consumer)

    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        return await self.bus.publish_batch(messages, stream=stream, expected_last=expected_last)

    def stored_ids(self, stream: str, *, after: int, upto: int) -> AsyncIterator[tuple[int, str]]:
        return self.bus.stored_ids(stream, after=after, upto=upto)


class CrashesBetween(Passing):
    """Publishes, and dies before it can be recorded."""

    @override
    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        await super().publish_batch(messages, stream=stream, expected_last=expected_last)
        raise Crash


class LosesAnswers(Passing):
    """Publishes, and never hears that it did, every other time."""

    lost = 0

    @override
    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        done = await super().publish_batch(messages, stream=stream, expected_last=expected_last)
        self.lost += 1
        if self.lost % 2:
            raise BusUnavailableError("the answer was lost")
        return done


class Stalls(Passing):
    """Stands still before its first publish, for as long as the test wants."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.stalled = asyncio.Event()
        self.go_on = asyncio.Event()

    @override
    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        self.stalled.set()
        await self.go_on.wait()
        return await super().publish_batch(messages, stream=stream, expected_last=expected_last)
