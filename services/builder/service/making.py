"""From an order to a complete image, by the strategy of its kind; starts over if interrupted."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from services.builder.domain import Image, Kind, Order
from services.builder.environments import Children, Folders, remove
from services.builder.service.job import Job
from services.builder.service.progress import Progress
from services.builder.upstream import Registry


class Maker(Protocol):
    async def make(self, job: Job) -> Image:
        """Raises ``BuildFailedError`` for good, and transient errors when trying again may help."""


class Making:
    def __init__(
        self,
        makers: Mapping[Kind, Maker],
        *,
        registry: Registry,
        folders: Folders,
        children: Children,
    ) -> None:
        self._makers = makers
        self._registry = registry
        self._folders = folders
        self._children = children

    async def tidy(self) -> None:
        """End what a builder that was killed was running. Before anything is made."""
        await self._children.end_leftovers()

    async def make(self, order: Order, progress: Progress) -> Image:
        work = self._folders.work(order.id)
        try:
            return await self._makers[order.kind].make(Job(order, progress, self._registry, work))
        finally:
            await asyncio.to_thread(remove, work)

    def progress(self, order: Order) -> Progress:
        return Progress(self._folders.log(order.id))
