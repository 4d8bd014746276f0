"""The strategy ``buildah``: the bento's own Dockerfile, on the base image that is pinned."""

import asyncio
import platform as machine
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from libs.chassis.client import OrgRef
from services.builder import plan
from services.builder.containers import DEFAULT_COMMANDS, Limits, Recipe, Sink
from services.builder.domain import BaseImage, Made
from services.builder.errors import BuildFailedError
from services.builder.oci import open_layout
from services.builder.service.bases import Bases
from services.builder.service.containers import Prepared, Task
from services.builder.service.job import Job
from services.builder.service.resolving import DOCKERFILE
from services.builder.service.sharing import SharedLayers

_PLATFORMS: Final = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}


class DockerfileBuilder(Protocol):
    async def build(self, recipe: Recipe, *, into: Path, log: Sink, limits: Limits) -> None:
        """An OCI image layout at ``into``, or nothing."""


class Dockerfiles:
    """Commands run on this machine's own processor: there is no emulation of others.

    ``shared`` are layers that other builders find, too.
    """

    def __init__(
        self,
        bases: Bases,
        builder: DockerfileBuilder,
        *,
        layouts: Path,
        limits: Limits,
        shared: SharedLayers | None = None,
    ) -> None:
        self._bases = bases
        self._builder = builder
        self._layouts = layouts
        self._limits = limits
        self._shared = shared

    async def prepare(self, task: Task) -> Prepared:
        order = task.job.order
        if DOCKERFILE not in task.described.files:
            raise BuildFailedError("archive-invalid", f"the bento has no {DOCKERFILE}")
        own = _PLATFORMS.get(machine.machine(), "linux/amd64")
        if any(each != own for each in order.wish.platforms):
            raise BuildFailedError(
                "platform-not-supported",
                f"its commands can be run for {own} alone; without them it could be assembled",
            )
        org = OrgRef(order.org_id, order.org)
        base = await self._bases.require(org, task.asked.base, own, digest=order.wish.base(own))
        models = sorted(asdict(each).items() for each in order.models)
        body = {
            "format": plan.FORMAT,
            "strategy": "buildah",
            "base": base.digest,
            "bento": order.bento_digest,
            "models": [list(each) for each in models],
            "platform": own,
        }
        return Prepared(plan.digest(body), body, partial(self._make, task, base))

    async def _make(self, task: Task, base: BaseImage) -> Made:
        job, to = task.job, task.to
        org = OrgRef(job.order.org_id, job.order.org)
        with job.progress.step("fetch the bento and its models"):
            context = await self._context(task)
            layout = await self._bases.layout(org, base, self._layouts)
        recipe = Recipe(
            context=context,
            dockerfile=context / DOCKERFILE,
            base=layout,
            secrets=job.given.variables,
            labels={"dev.yokocho.bento": job.order.bento},
            platform=base.platform,
            drop=() if task.asked.commands or task.choice.compiles else DEFAULT_COMMANDS,
            fresh=job.order.wish.no_cache,
        )
        with job.progress.step("run the Dockerfile"):
            image = await self._run(job, recipe, org)
        with job.progress.step("push the image"):
            async with open_layout(image) as opened:
                [only] = opened.images
                digest = await opened.push(
                    only,
                    to.remote,
                    repository=to.repository,
                    reference=to.tag or only.descriptor.digest,
                )
                total = sum(each.size for each in only.layers)
        return Made(digest, total, to.repository, to.tag, to.registry)

    async def _run(self, job: Job, recipe: Recipe, org: OrgRef) -> Path:
        image = job.work / "image"
        lent = self._shared.door(org) if self._shared is not None else nullcontext()
        async with lent as door:
            await self._builder.build(
                replace(recipe, cache=door),
                into=image,
                log=job.progress.print,
                limits=self._limits,
            )
        return image

    async def _context(self, task: Task) -> Path:
        """As clients make it: the bento with its models in it."""
        context = await task.job.bento()
        for model in task.job.order.models:
            folder = await task.job.model(model)
            home = context / "models" / model.repository
            await asyncio.to_thread(_place, folder, home, model.version)
        return context


def _place(folder: Path, home: Path, version: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    folder.rename(home / version)
    (home / "latest").write_text(version)
