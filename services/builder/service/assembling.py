"""The strategy ``assemble``: an image written layer by layer, with no container and no root."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Database
from libs.contracts.mediatypes import OCI_INDEX, OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder import plan
from services.builder.domain import Asked, BaseImage, BasePython, Made, Target
from services.builder.errors import BuildFailedError, LayersAbsentError, NeedsCommandsError
from services.builder.service.bases import Bases
from services.builder.service.containers import Prepared, Task
from services.builder.service.layering import Layering, Work
from services.builder.service.pushing import Pushing
from services.builder.service.resolving import ENTRYPOINT, Resolving
from services.builder.service.tx import Tx

DEFAULT_PLATFORM: Final = "linux/amd64"


class Assembling:
    def __init__(
        self, database: Database[Tx], resolving: Resolving, *, bases: Bases, layering: Layering
    ) -> None:
        self._database = database
        self._resolving = resolving
        self._bases = bases
        self._layering = layering

    async def prepare(self, task: Task) -> Prepared:
        """A plan for each platform: one image, or an index of several."""
        if ENTRYPOINT not in task.described.files:
            raise BuildFailedError("archive-invalid", f"the bento has no {ENTRYPOINT}")
        platforms = sorted(set(task.job.order.wish.platforms)) or [DEFAULT_PLATFORM]
        works = [await self._planned(task, each) for each in platforms]
        plans = [each.plan for each in works]
        several = plan.digest([each.digest for each in plans])
        digest = plans[0].digest if len(plans) == 1 else several
        return Prepared(digest, plans, partial(self._make, task, works))

    async def _planned(self, task: Task, platform: str) -> Work:
        order, asked = task.job.order, task.asked
        base = await self._bases.require(
            OrgRef(order.org_id, order.org),
            asked.base,
            platform,
            digest=order.wish.base(platform),
        )
        task.job.progress.note(f"on {base.reference}@{base.digest}")
        if not base.has_bash:
            raise NeedsCommandsError(f"{base.reference} has no bash, which starts every bento")
        python = _python(asked, base)
        target = Target(python.version, plan.platform_of_uv(platform, base.libc))
        lock = await self._resolving.lock(task.job, task.requirements, target)
        planned = plan.plan_image(
            asked,
            base,
            python,
            lock=plan.locked(lock),
            bento=order.bento_digest,
            models=order.models,
            name=order.bento,
        )
        pushing = Pushing(self._database, task.to, fresh=order.wish.no_cache)
        return Work(task.job, planned, base, lock, pushing)

    async def _make(self, task: Task, works: Sequence[Work]) -> Made:
        """The tag comes last: who sees it finds everything below it."""
        to, images = task.to, []
        for work in works:
            alone = len(works) == 1
            images.append(await self._image(task, work, tag=to.tag if alone else None))
        if len(images) > 1:
            index = plan.index_of(images)
            name = to.tag or digest_of(index)
            digest = await to.remote.put_manifest(to.repository, name, index, OCI_INDEX)
        else:
            digest = images[0].digest
        total = sum(each.total for each in images)
        return Made(digest, total, to.repository, to.tag, to.registry)

    async def _image(self, task: Task, work: Work, *, tag: str | None) -> plan.PushedImage:
        try:
            return await self._attempt(task, work, tag=tag)
        except LayersAbsentError as error:
            task.job.progress.note(f"what was there is there no more: {error.reason}")
            work.pushing.doubt()
            return await self._attempt(task, work, tag=tag)

    async def _attempt(self, task: Task, work: Work, *, tag: str | None) -> plan.PushedImage:
        progress, to = task.job.progress, task.to
        with progress.step(f"layers for {work.plan.platform}"):
            layers = await self._layering.layers(work)
        with progress.step("push the image's manifest"):
            config = await to.remote.push_bytes(to.repository, plan.config_of(work.plan, layers))
            named = {"org.opencontainers.image.base.name": work.base.reference}
            body = plan.manifest_of((config.digest, config.size), layers, annotations=named)
            digest = await to.remote.put_manifest(
                to.repository, tag or digest_of(body), body, OCI_MANIFEST
            )
        total = sum(each.size_bytes for each in layers)
        return plan.PushedImage(work.plan.platform, digest, len(body), total)


def _python(asked: Asked, base: BaseImage) -> BasePython:
    found = base.python(asked.python)
    if found is None:
        has = ", ".join(each.version for each in base.pythons) or "none"
        raise BuildFailedError(
            "python-version-absent",
            f"{base.reference} has no Python {asked.python}; what it has: {has}",
        )
    return found
