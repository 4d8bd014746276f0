"""The layers above a base image, each found by what it is made of, or made and pushed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from libs.chassis.client import OrgRef
from libs.contracts.mediatypes import OCI_LAYER, OCI_LAYER_GZIP
from services.builder import plan
from services.builder.domain import BaseImage, Layer, Model, Target
from services.builder.environments import Uv
from services.builder.layers import Entry, PackageGroup, below, groups_of, skeleton
from services.builder.plan import BENTO, ENTRYPOINT, HOME, UID, USER, VENV, ImagePlan
from services.builder.service.bases import Bases
from services.builder.service.job import Job
from services.builder.service.pushing import Pushing

_AT_ONCE: Final = 2
"""Layers of packages: one is packed while the registry makes another durable."""


@dataclass(frozen=True, slots=True)
class Work:
    """One platform of one order, planned."""

    job: Job
    plan: ImagePlan
    base: BaseImage
    lock: str
    pushing: Pushing

    @property
    def org(self) -> OrgRef:
        return OrgRef(self.job.order.org_id, self.job.order.org)


class Layering:
    def __init__(self, bases: Bases, uv: Uv) -> None:
        self._bases = bases
        self._uv = uv

    async def layers(self, work: Work) -> list[Layer]:
        """In the order of the image; what changes most often is on top."""
        models = (self._model(work, each) for each in work.plan.models)
        above = (self._skeleton(work), self._packages(work), *models, self._bento(work))
        async with asyncio.TaskGroup() as group:
            placed = group.create_task(self._bases.place(work.org, work.base, work.pushing))
            tasks = [group.create_task(each) for each in above]
        made = [layer for task in (placed, *tasks) for layer in task.result()]
        pushed, reused = work.pushing.pushed, work.pushing.reused
        work.job.progress.note(f"    {pushed} pushed, {reused} were there")
        work.job.progress.layers_pushed, work.job.progress.layers_reused = pushed, reused
        return made

    async def _skeleton(self, work: Work) -> Sequence[Layer]:
        python = work.plan.python
        key = plan.digest([plan.FORMAT, "skeleton", work.base.digest, python.path, python.version])

        async def entries() -> list[Entry]:
            return skeleton(work.base, python, user=USER, uid=UID, home=HOME, venv=VENV)

        return await _one(work, key, entries, media_type=OCI_LAYER_GZIP)

    async def _bento(self, work: Work) -> Sequence[Layer]:
        async def entries() -> list[Entry]:
            found = await asyncio.to_thread(_below, await work.job.bento(), BENTO)
            return [_runnable(each) for each in found]

        key = plan.digest([plan.FORMAT, "bento", work.job.order.bento_digest])
        return await _one(work, key, entries, media_type=OCI_LAYER_GZIP)

    async def _model(self, work: Work, model: Model) -> Sequence[Layer]:
        """Not compressed: weights hardly shrink, and their digest is that of the tar."""
        home = f"{BENTO}/models/{model.repository}".lstrip("/")

        async def entries() -> list[Entry]:
            folder = await work.job.model(model)
            version = f"{home}/{model.version}"
            files = await asyncio.to_thread(_below, folder, version)
            latest = Entry(f"{home}/latest", UID, content=model.version.encode())
            folders = [Entry(each, UID) for each in (f"{BENTO}/models".lstrip("/"), home, version)]
            return [*folders, latest, *files]

        key = plan.digest([plan.FORMAT, "model", model.repository, model.version, model.digest])
        return await _one(work, key, entries, media_type=OCI_LAYER)

    async def _packages(self, work: Work) -> Sequence[Layer]:
        """All of a lock are found at once; else each group that other locks have in common."""
        key = work.plan.packages_key
        if (found := await work.pushing.find(key)) is not None:
            return found
        layers = await _groups(work, await self._installed(work))
        await work.pushing.keep(key, layers)
        return layers

    async def _installed(self, work: Work) -> list[PackageGroup]:
        base, python = work.base, work.plan.python
        folder = work.job.work / f"packages-{base.platform.replace('/', '-')}"
        target = Target(python.version, plan.platform_of_uv(base.platform, base.libc))
        with work.job.progress.step("install packages"):
            await self._uv.lay_out(
                work.lock, target, folder, log=work.job.progress.log, given=work.job.given
            )
            return await asyncio.to_thread(
                groups_of, folder, venv=VENV, python=python.minor, owner=UID
            )


async def _groups(work: Work, groups: Sequence[PackageGroup]) -> Sequence[Layer]:
    """In their order, though several are made at once."""
    turns, pins = asyncio.Semaphore(_AT_ONCE), plan.locked(work.lock)

    async def one(group: PackageGroup) -> Sequence[Layer]:
        async with turns:
            return await _group(work, group, pins)

    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(one(each)) for each in groups]
    return [layer for task in made for layer in task.result()]


async def _group(work: Work, group: PackageGroup, pins: Sequence[plan.Locked]) -> Sequence[Layer]:
    key = work.plan.group_key(pins, group.names)
    found = await work.pushing.find(key)
    return found or [await work.pushing.push(key, group.entries, media_type=OCI_LAYER_GZIP)]


async def _one(
    work: Work, key: str, entries: Callable[[], Awaitable[list[Entry]]], *, media_type: str
) -> Sequence[Layer]:
    found = await work.pushing.find(key)
    if found is not None:
        return found
    return [await work.pushing.push(key, await entries(), media_type=media_type)]


def _below(folder: Path, at: str) -> list[Entry]:
    return sorted(below(folder, at.lstrip("/"), owner=UID), key=lambda each: each.path)


def _runnable(entry: Entry) -> Entry:
    return replace(entry, executable=True) if f"/{entry.path}" == ENTRYPOINT else entry
