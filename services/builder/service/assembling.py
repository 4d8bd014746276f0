"""The strategy ``assemble``: an image written layer by layer, with no container and no root."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakValueDictionary

from libs.chassis.postgres import Database
from services.builder import plan
from services.builder.domain import (
    Asked,
    BaseImage,
    BasePython,
    Image,
    Made,
    Order,
    Planned,
    Target,
)
from services.builder.errors import BuildFailedError
from services.builder.service.bases import Bases
from services.builder.service.builds import Builds
from services.builder.service.job import Job
from services.builder.service.layering import Layering, Work
from services.builder.service.pushing import Destination, Pushing
from services.builder.service.resolving import Resolving
from services.builder.service.tx import Tx

_OWN_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Where a manifest names none."""
DEFAULT_PLATFORM: Final = "linux/amd64"


class Assembling:
    def __init__(
        self,
        database: Database[Tx],
        builds: Builds,
        *,
        resolving: Resolving,
        bases: Bases,
        layering: Layering,
        destination: Callable[[Order], Destination],
    ) -> None:
        self._database = database
        self._builds = builds
        self._resolving = resolving
        self._bases = bases
        self._layering = layering
        self._destination = destination
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, job: Job) -> Image:
        order, progress = job.order, job.progress
        to = self._destination(order)
        with progress.step("plan"):
            works = await self._planned(job, to)
        digest = works[0].plan.digest
        async with self._turns.setdefault(f"{order.org_id} {digest}", asyncio.Lock()):
            found = None if order.wish.no_cache else await self._found(order, digest, to)
            if found is not None:
                progress.note(f"image {found} exists")
                return _image(to, found, reused=True)
            made = await self._make(works[0], to)
            await self._keep(order, digest, made)
        progress.note(f"image {made.digest} is complete")
        return _image(to, made.digest, reused=False)

    async def _planned(self, job: Job, to: Destination) -> Sequence[Work]:
        order, progress = job.order, job.progress
        described = await self._resolving.describe(job)
        asked = plan.read(described.manifest, fallback_python=_OWN_PYTHON)
        requirements = plan.requirements_of(described.manifest, described.requirements)
        source = list(plan.need_building(requirements))
        choice = plan.choose(asked, order.wish, from_source=source, brings=described.brings)
        for line in choice.why:
            progress.note(line)
        pushing = Pushing(self._database, to, fresh=order.wish.no_cache)
        works = []
        for platform in order.wish.platforms or (DEFAULT_PLATFORM,):
            base = await self._bases.require(order.org_id, asked.base, platform)
            progress.note(f"on {base.reference}@{base.digest}")
            python = _python(asked, base)
            target = Target(python.version, plan.platform_of_uv(platform, base.libc))
            lock = await self._resolving.lock(job, requirements, target)
            planned = plan.plan_image(
                asked,
                base,
                python,
                lock=plan.locked(lock),
                bento=order.bento_digest,
                models=order.models,
                name=order.bento,
            )
            works.append(Work(job, planned, base, lock, pushing))
        await self._builds.planned(order, Planned(choice, works[0].plan.digest, works[0].plan))
        return works

    async def _found(self, order: Order, digest: str, to: Destination) -> str | None:
        """The image of the same plan, under the name that is asked for; None if it is gone."""
        async with self._database.read() as tx:
            known = await tx.recipes.image(order.org_id, digest)
        if known is None:
            return None
        tagged = await to.remote.find(to.repository, to.tag)
        if tagged is not None and tagged.digest == known.digest:
            return known.digest
        there = await to.remote.find(to.repository, known.digest)
        if there is None:
            return None
        described, body = await to.remote.manifest(to.repository, known.digest)
        await to.remote.put_manifest(to.repository, to.tag, body, described.media_type)
        return known.digest

    async def _make(self, work: Work, to: Destination) -> Made:
        with work.job.progress.step("layers"):
            layers = await self._layering.layers(work)
        with work.job.progress.step("push the image's manifest"):
            config = plan.config_of(work.plan, layers)
            pushed = await to.remote.push_bytes(to.repository, config)
            named = {"org.opencontainers.image.base.name": work.base.reference}
            body = plan.manifest_of((pushed.digest, pushed.size), layers, annotations=named)
            digest = await to.remote.put_manifest(to.repository, to.tag, body, plan.MANIFEST)
        size = sum(each.size_bytes for each in layers)
        return Made(digest, size, to.repository, work.job.order.id)

    async def _keep(self, order: Order, digest: str, made: Made) -> None:
        async with self._database.transaction() as tx:
            await tx.recipes.keep_image(order.org_id, digest, made)


def _python(asked: Asked, base: BaseImage) -> BasePython:
    found = base.python(asked.python)
    if found is None:
        has = ", ".join(each.version for each in base.pythons) or "none"
        raise BuildFailedError(
            "python-version-absent",
            f"{base.reference} has no Python {asked.python}; what it has: {has}",
        )
    return found


def _image(to: Destination, digest: str, *, reused: bool) -> Image:
    return Image(digest, f"oci://{to.repository}:{to.tag}@{digest}", reused)
