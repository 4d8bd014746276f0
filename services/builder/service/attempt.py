"""One attempt at a build: it ends by itself, or somebody or the clock stops it."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta

from services.builder.domain import Image, Order


class Attempt:
    """What was done when it is stopped stays done: an image that is complete is not taken back."""

    def __init__(self, order: Order, limit: timedelta) -> None:
        self.order = order
        self.limit = limit
        self.cancelled = False
        self._scope: asyncio.Timeout | None = None

    @property
    def stopped(self) -> bool:
        return self._scope is not None and self._scope.expired()

    async def work(self, making: Awaitable[Image]) -> Image:
        """Raises whatever comes of being ``stopped`` when it is."""
        async with asyncio.timeout(self.limit.total_seconds()) as self._scope:
            return await making

    def cancel(self) -> None:
        """At once where work is under way; what is over is left alone."""
        if self._scope is not None:
            self.cancelled = True
            with suppress(RuntimeError):  # it has just ended
                self._scope.reschedule(0)
