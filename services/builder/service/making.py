"""From an order to a complete image, by the strategy of its kind; starts over if interrupted."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from libs.chassis.client import OrgRef
from libs.chassis.errors import Kind as Trouble
from libs.chassis.errors import ServiceError
from services.builder.domain import Image, Kind, Model, Order
from services.builder.environments import Children, Folders, remove
from services.builder.errors import BentoIncompleteError, BuildFailedError
from services.builder.service.builds import Builds
from services.builder.service.following import Live
from services.builder.service.job import Job
from services.builder.service.progress import Progress
from services.builder.upstream import Registry


class Maker(Protocol):
    async def make(self, job: Job) -> Image:
        """Raises ``BuildFailedError`` for good, and transient errors when trying again may help."""


class Making:
    def __init__(
        self,
        builds: Builds,
        makers: Mapping[Kind, Maker],
        *,
        registry: Registry,
        folders: Folders,
        children: Children,
        live: Live,
    ) -> None:
        self._builds = builds
        self._makers = makers
        self._live = live
        self._registry = registry
        self._folders = folders
        self._children = children

    async def tidy(self) -> None:
        """End what a builder that was killed was running. Before anything is made."""
        await self._children.end_leftovers()

    async def make(self, order: Order, progress: Progress) -> Image:
        whole = order if order.resolved else await self._resolved(order)
        work = self._folders.work(order.id)
        try:
            return await self._makers[order.kind].make(Job(whole, progress, self._registry, work))
        finally:
            if not _is_gone(work):
                await asyncio.to_thread(remove, work)

    def progress(self, order: Order) -> Progress:
        return self._live.begin(order.id, self._folders.log(order.id))

    async def _resolved(self, order: Order) -> Order:
        """With its models, which may have come later than the bento."""
        org = OrgRef(order.org_id, order.org)
        try:
            bento = await self._registry.resolve(order.repository, order.version, org)
        except ServiceError as error:
            if error.kind is Trouble.CONFLICT:
                raise BentoIncompleteError(error.detail) from error
            raise
        if bento.digest != order.bento_digest:
            raise BuildFailedError("bento-replaced", f"{order.bento} is {bento.digest} by now")
        models = tuple(Model(each.repository, each.version, each.digest) for each in bento.models)
        await self._builds.resolved(order, models)
        return replace(order, models=models, resolved=True)


def _is_gone(empty: Path) -> bool:
    """Nothing was fetched or made where everything was found."""
    try:
        empty.rmdir()
    except OSError:
        return False
    return True
