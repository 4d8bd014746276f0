"""From an order to a complete image, by the strategy of its kind; starts over if interrupted."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from services.builder.domain import Image, Kind, Order
from services.builder.environments import Folders, remove
from services.builder.service.progress import Progress
from services.builder.service.resolving import Archives
from services.builder.upstream import Registry


class Maker(Protocol):
    async def make(self, order: Order, archives: Archives, progress: Progress) -> Image:
        """Raises ``BuildFailedError`` for good, and transient errors when trying again may help."""


class Making:
    def __init__(
        self, makers: Mapping[Kind, Maker], *, registry: Registry, folders: Folders
    ) -> None:
        self._makers = makers
        self._registry = registry
        self._folders = folders

    async def make(self, order: Order, progress: Progress) -> Image:
        work = self._folders.work(order.id)
        archives = Archives(self._registry, order, work, progress)
        try:
            return await self._makers[order.kind].make(order, archives, progress)
        finally:
            await asyncio.to_thread(remove, work)

    def progress(self, order: Order) -> Progress:
        return Progress(self._folders.log(order.id))
