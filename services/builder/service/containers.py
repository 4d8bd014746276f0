"""Container images: planned, found again where the same was built, else made by a strategy."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol
from weakref import WeakValueDictionary

from services.builder import plan
from services.builder.domain import (
    Asked,
    Choice,
    Described,
    Image,
    Made,
    Order,
    Planned,
    Strategy,
    Wish,
)
from services.builder.environments import NeedsBuildingError
from services.builder.errors import BuildFailedError, NeedsCommandsError
from services.builder.service.builds import Builds
from services.builder.service.finished import Finished
from services.builder.service.giving import Giving
from services.builder.service.job import Job
from services.builder.service.pushing import Destination
from services.builder.service.resolving import Resolving
from services.builder.service.unpacking import Unpacking

_OWN_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Where a manifest names none."""


@dataclass(frozen=True, slots=True)
class Task:
    """An order for a container image, with what its bento asks for."""

    job: Job
    to: Destination
    described: Described
    asked: Asked
    requirements: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class Prepared:
    """``digest`` names the result: what is equal gives the same image."""

    digest: str
    body: object
    make: Callable[[], Awaitable[Made]]
    findable: bool = True
    """False where looking for an earlier result costs as much as having it."""


class ContainerStrategy(Protocol):
    async def prepare(self, task: Task) -> Prepared:
        """Nothing is made yet. Raises ``NeedsBuildingError`` where wheels do not suffice."""


class Containers:
    """Builds of one plan take turns: the second finds what the first has made."""

    def __init__(
        self,
        builds: Builds,
        resolving: Resolving,
        *,
        giving: Giving,
        finished: Finished,
        destination: Callable[[Order], Destination],
        strategies: Mapping[Strategy, ContainerStrategy],
        unpacking: Unpacking,
    ) -> None:
        self._unpacking = unpacking
        self._builds = builds
        self._resolving = resolving
        self._giving = giving
        self._finished = finished
        self._destination = destination
        self._strategies = strategies
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, job: Job) -> Image:
        order, to = job.order, self._destination(job.order)
        if order.wish.verifies is not None:
            to = replace(to, tag="")  # what comes out is looked at, and called nothing
        with job.progress.step("plan"):
            task = await self._task(job, to)
            task, prepared = await self._prepared(task)
            for line in task.choice.why:
                job.progress.note(line)
            planned = Planned(task.choice, prepared.digest, prepared.body)
            known = await self._known(order, prepared, to)
            if known is None:
                await self._builds.planned(order, planned)
            else:
                job.progress.planned = planned
        made, there = (known, True) if known else await self._made(order, prepared, to)
        _require_same(order.wish, made)
        job.progress.note(f"image {made.digest} {'exists' if there else 'is complete'}")
        if order.target == "local":
            return await self._unpacking.unpack(job, to.remote, made, reused=there)
        return Image(made.digest, made.uri, there)

    async def _known(self, order: Order, prepared: Prepared, to: Destination) -> Made | None:
        if not prepared.findable or order.wish.no_cache:
            return None
        return await self._finished.find(order.org_id, prepared.digest, to)

    async def _made(self, order: Order, prepared: Prepared, to: Destination) -> tuple[Made, bool]:
        """And whether another build has just made it."""
        async with self._turns.setdefault(f"{order.org_id} {prepared.digest}", asyncio.Lock()):
            known = await self._known(order, prepared, to)
            made = known or await prepared.make()
            if known is None and prepared.findable and order.wish.verifies is None:
                await self._finished.keep(order.org_id, prepared.digest, made)
        return made, known is not None

    async def _task(self, job: Job, to: Destination) -> Task:
        described = await self._resolving.describe(job)
        asked = plan.read(described.manifest, fallback_python=_OWN_PYTHON)
        requirements = plan.requirements_of(described.manifest, described.requirements)
        source = list(plan.need_building(requirements))
        wish = job.order.wish
        choice = plan.choose(asked, wish, from_source=source, brings=described.brings)
        return Task(job, to, described, asked, requirements, choice)

    async def _prepared(self, task: Task) -> tuple[Task, Prepared]:
        try:
            return await self._with(task)
        except NeedsBuildingError as error:
            why = f"a package has no wheel that fits: {error}"
        except NeedsCommandsError as error:
            why = str(error)
        if task.job.order.wish.strategy is Strategy.ASSEMBLE:
            raise BuildFailedError("strategy-impossible", why)
        return await self._with(
            replace(task, choice=Choice(Strategy.BUILDAH, (why,), compiles=True))
        )

    async def _with(self, task: Task) -> tuple[Task, Prepared]:
        """Prepared with the secrets that its strategy uses, which its result depends on."""
        strategy = self._strategy(task)
        job = await self._giving.give(task.job, task.asked, task.choice.strategy)
        task = replace(task, job=job)
        prepared = await strategy.prepare(task)
        given = job.given
        digest = plan.digest([prepared.digest, *given.marks]) if given else prepared.digest
        body = {"plan": prepared.body, "given": sorted(given.variables)}
        return task, replace(prepared, digest=digest, body=body)

    def _strategy(self, task: Task) -> ContainerStrategy:
        chosen = task.choice.strategy
        if chosen not in self._strategies:
            why = "\n".join(task.choice.why)
            raise BuildFailedError(
                "strategy-unavailable", f"images are not made by {chosen} here, and\n{why}"
            )
        return self._strategies[chosen]


def _require_same(wish: Wish, made: Made) -> None:
    if wish.verifies is not None and made.digest != wish.verifies.digest:
        raise BuildFailedError(
            "image-differs",
            f"it was built anew from its provenance, and is {made.digest}, "
            f"not {wish.verifies.digest}",
        )
