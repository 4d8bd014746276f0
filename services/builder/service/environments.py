"""The strategy of this machine's own processes: a folder with packages, bento and models."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from services.builder import plan
from services.builder.domain import Choice, Given, Image, Interpreter, Order, Planned, Strategy
from services.builder.environments import Folders, NeedsBuildingError, Uv
from services.builder.errors import BuildFailedError, OutOfTurnError
from services.builder.service.builds import Builds
from services.builder.service.giving import Giving
from services.builder.service.job import Job
from services.builder.service.resolving import Resolving

_OWN_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Where a manifest names none: one that is certainly there."""


@dataclass(frozen=True, slots=True)
class _Ingredients:
    """What an environment is made of."""

    lock: str
    python: Interpreter
    given: Given
    why: tuple[str, ...]


class Environments:
    """Builds of one environment take turns: the second finds what the first has made.

    It waits in the queue, where it takes nobody's place.
    """

    def __init__(
        self, builds: Builds, resolving: Resolving, *, giving: Giving, folders: Folders, uv: Uv
    ) -> None:
        self._builds = builds
        self._resolving = resolving
        self._giving = giving
        self._folders = folders
        self._uv = uv
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, job: Job) -> Image:
        if job.order.target != "local":
            raise BuildFailedError(
                "target-not-supported",
                f"environments for target {job.order.target} are not built here",
            )
        with job.progress.step("resolve"):
            made = await self._resolve(job)
        turn = await self._turn(job.order, made)
        if turn.locked():
            raise OutOfTurnError("another build makes the environment, from wheels or from source")
        async with turn:
            try:
                return await self._from(job, made, wheels_only=True)
            except NeedsBuildingError as error:
                job.progress.note(f"not shared with other organisations: {error}")
            await self._resolving.require_isolation()
            return await self._from(job, made, wheels_only=False)

    async def _turn(self, order: Order, made: _Ingredients) -> asyncio.Lock:
        """One for all that need these packages: uv lets only one of them build a source."""
        shared = plan.environment_digest(made.lock, made.python, org_id=None)
        await self._builds.take_turn(order, shared)
        return self._turns.setdefault(shared, asyncio.Lock())

    async def _resolve(self, job: Job) -> _Ingredients:
        described = await self._resolving.describe(job)
        asked = plan.read(described.manifest, fallback_python=_OWN_PYTHON)
        plan.require_environment(asked)
        if described.brings:
            raise BuildFailedError("wheels-not-supported", "the bento brings wheels of its own")
        why = tuple(
            f"left out, as this machine has its own tools: {each}" for each in asked.dropped
        )
        for line in why:
            job.progress.note(line)
        python = await self._uv.interpreter(asked.python, job.progress.log)
        requirements = plan.requirements_of(described.manifest, described.requirements)
        job = await self._giving.give(job, asked, Strategy.ENVIRONMENT)
        lock = await self._resolving.lock(job, requirements, python)
        return _Ingredients(lock, python, job.given, why)

    async def _from(self, job: Job, made: _Ingredients, *, wheels_only: bool) -> Image:
        """Of wheels alone; or with code of packages run, for one organisation."""
        order, marks = job.order, made.given.marks
        org_id = None if wheels_only and not marks else order.org_id
        environment = plan.environment_digest(made.lock, made.python, org_id=org_id, marks=marks)
        digest = plan.image_digest(environment, order.bento_digest, order.models)
        choice = Choice(Strategy.ENVIRONMENT, made.why)
        await self._builds.planned(order, Planned(choice, digest, {"environment": environment}))
        await self._builds.claim(order, environment=environment, image=digest)
        if self._folders.has_image(digest):
            job.progress.note(f"image {digest} exists")
            return self._folders.found(digest, reused=True)
        if not self._folders.has_environment(environment):
            with job.progress.step("install packages"):
                await self._uv.install(
                    made.lock,
                    made.python,
                    self._folders.environment(environment),
                    work=job.work,
                    log=job.progress.log,
                    given=made.given,
                    built_for=None if wheels_only else job.order.org_id,
                )
                await asyncio.to_thread(self._folders.complete, environment)
        with job.progress.step("put together"):
            await self._assemble(job, digest, environment)
        job.progress.note(f"image {digest} is complete")
        return self._folders.found(digest, reused=False)

    async def _assemble(self, job: Job, digest: str, environment: str) -> None:
        bento = await job.bento()
        models = {each: await job.model(each) for each in job.order.models}
        await asyncio.to_thread(self._folders.assemble, digest, environment, bento, models=models)
