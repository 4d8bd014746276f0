"""The strategy ``assemble``: an image written layer by layer, with no container and no root."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from libs.chassis.postgres import Database
from services.builder import plan
from services.builder.domain import (
    Asked,
    BaseImage,
    Image,
    Layer,
    Made,
    Model,
    Order,
    Planned,
    Target,
)
from services.builder.environments import Uv
from services.builder.errors import BuildFailedError
from services.builder.layers import GZIP, TAR, Entry, below, groups_of, skeleton
from services.builder.plan.image import BENTO, ENTRYPOINT, HOME, UID, USER, VENV, ImagePlan
from services.builder.service.bases import Bases
from services.builder.service.builds import Builds
from services.builder.service.progress import Progress
from services.builder.service.pushing import Destination, Pushing
from services.builder.service.resolving import Archives, Resolving
from services.builder.service.tx import Tx

_OWN_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Where a manifest names none."""
DEFAULT_PLATFORM: Final = "linux/amd64"


@dataclass(frozen=True, slots=True)
class _Work:
    """One platform of one order, planned."""

    order: Order
    plan: ImagePlan
    base: BaseImage
    lock: str
    archives: Archives
    pushing: Pushing
    progress: Progress


class Assembling:
    def __init__(
        self,
        database: Database[Tx],
        builds: Builds,
        *,
        resolving: Resolving,
        bases: Bases,
        destination: Callable[[Order], Destination],
        uv: Uv,
    ) -> None:
        self._database = database
        self._builds = builds
        self._resolving = resolving
        self._bases = bases
        self._destination = destination
        self._uv = uv
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, order: Order, archives: Archives, progress: Progress) -> Image:
        to = self._destination(order)
        with progress.step("plan"):
            works = await self._planned(order, to, archives, progress)
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

    async def _planned(
        self, order: Order, to: Destination, archives: Archives, progress: Progress
    ) -> Sequence[_Work]:
        described = await self._resolving.describe(order, archives)
        asked = plan.read(described.manifest, fallback_python=_OWN_PYTHON)
        requirements = plan.requirements_of(described.manifest, described.requirements)
        source = list(plan.need_building(requirements))
        choice = plan.choose(asked, order.wish, from_source=source, brings=described.brings)
        for line in choice.why:
            progress.note(line)
        pushing = Pushing(self._database, to, fresh=order.wish.no_cache)
        works = []
        for platform in order.wish.platforms or (DEFAULT_PLATFORM,):
            base = await self._bases.require(order.org_id, asked.base, platform, progress)
            target = _target(asked, base)
            lock = await self._resolving.lock(
                order, requirements, target, archives=archives, log=progress.log
            )
            planned = plan.plan_image(
                asked,
                base,
                _python(asked, base),
                lock=plan.locked(lock),
                bento=order.bento_digest,
                models=order.models,
                name=order.bento,
            )
            works.append(_Work(order, planned, base, lock, archives, pushing, progress))
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

    async def _make(self, work: _Work, to: Destination) -> Made:
        layers = [*work.base.layers, *await self._layers(work)]
        with work.progress.step("push the image's manifest"):
            config = plan.config_of(work.plan, layers)
            pushed = await to.remote.push_bytes(to.repository, config)
            body = plan.manifest_of(
                (pushed[0], pushed[1]),
                layers,
                annotations={"org.opencontainers.image.base.name": work.base.reference},
            )
            digest = await to.remote.put_manifest(
                to.repository, to.tag, body, plan.image.MANIFEST
            )
        size = sum(each.size_bytes for each in layers)
        return Made(digest, size, to.repository, work.order.id)

    async def _layers(self, work: _Work) -> list[Layer]:
        """Those above the base image: each kind beside the others, in the order of the image."""
        with work.progress.step("layers"):
            made = await asyncio.gather(
                self._bases.place(work.base, work.pushing),
                self._skeleton(work),
                self._packages(work),
                *(self._model(work, each) for each in work.order.models),
                self._bento(work),
            )
            pushing = work.pushing
            work.progress.note(f"    {pushing.pushed} pushed, {pushing.reused} were there")
        return [layer for each in made for layer in each]

    async def _skeleton(self, work: _Work) -> Sequence[Layer]:
        python = work.plan.python
        key = plan.digest([plan.FORMAT, "skeleton", work.base.digest, python.path, python.version])

        async def entries() -> list[Entry]:
            return skeleton(work.base, python, user=USER, uid=UID, home=HOME, venv=VENV)

        return await _one(work, key, entries, media_type=GZIP)

    async def _bento(self, work: _Work) -> Sequence[Layer]:
        async def entries() -> list[Entry]:
            folder = await work.archives.bento()
            found = await asyncio.to_thread(_below, folder, BENTO)
            return [_runnable(each) for each in found]

        key = plan.digest([plan.FORMAT, "bento", work.order.bento_digest])
        return await _one(work, key, entries, media_type=GZIP)

    async def _model(self, work: _Work, model: Model) -> Sequence[Layer]:
        home = f"{BENTO}/models/{model.repository}"

        async def entries() -> list[Entry]:
            folder = await work.archives.model(model)
            top = [Entry(each.lstrip("/"), UID) for each in (f"{BENTO}/models", home)]
            latest = Entry(f"{home}/latest".lstrip("/"), UID, content=model.version.encode())
            version = Entry(f"{home}/{model.version}".lstrip("/"), UID)
            files = await asyncio.to_thread(_below, folder, f"{home}/{model.version}")
            return [*top, latest, version, *files]

        key = plan.digest(
            [plan.FORMAT, "model", model.repository, model.version, model.digest]
        )
        return await _one(work, key, entries, media_type=TAR)

    async def _packages(self, work: _Work) -> Sequence[Layer]:
        """All of a lock are found at once; else each group that other locks do not share."""
        key = work.plan.packages_key
        if (found := await work.pushing.find(key)) is not None:
            return found
        minor = ".".join(work.plan.python.version.split(".")[:2])
        folder = work.archives.work / f"packages-{work.base.platform.replace('/', '-')}"
        with work.progress.step("install packages"):
            target = Target(
                work.plan.python.version,
                plan.platform_of_uv(work.base.platform, work.base.libc),
            )
            await self._uv.lay_out(work.lock, target, folder, log=work.progress.log)
            groups = await asyncio.to_thread(
                groups_of, folder, venv=VENV, python=minor, owner=UID
            )
        hashes = {f"{each.name}=={each.version}": each.hashes for each in plan.locked(work.lock)}
        layers: list[Layer] = []
        for group in groups:
            inside = [[name, hashes.get(name, ())] for name in group.names]
            named = plan.digest(
                [plan.FORMAT, "packages", minor, work.plan.platform, work.plan.libc, inside]
            )
            found = await work.pushing.find(named)
            layers.extend(
                found or [await work.pushing.push(named, group.entries, media_type=GZIP)]
            )
        await work.pushing.keep(key, layers)
        return layers

    async def _keep(self, order: Order, digest: str, made: Made) -> None:
        async with self._database.transaction() as tx:
            await tx.recipes.keep_image(order.org_id, digest, made)


async def _one(
    work: _Work, key: str, entries: Callable[[], Awaitable[list[Entry]]], *, media_type: str
) -> Sequence[Layer]:
    found = await work.pushing.find(key)
    if found is not None:
        return found
    return [await work.pushing.push(key, await entries(), media_type=media_type)]


def _below(folder: object, at: str) -> list[Entry]:
    from pathlib import Path

    return sorted(below(Path(str(folder)), at.lstrip("/"), owner=UID), key=lambda each: each.path)


def _runnable(entry: Entry) -> Entry:
    from dataclasses import replace

    return replace(entry, executable=True) if f"/{entry.path}" == ENTRYPOINT else entry


def _python(asked: Asked, base: BaseImage):  # type: ignore[no-untyped-def]
    found = base.python(asked.python)
    if found is None:
        has = ", ".join(each.version for each in base.pythons) or "none"
        raise BuildFailedError(
            "python-version-absent",
            f"{base.reference} has no Python {asked.python}; what it has: {has}",
        )
    return found


def _target(asked: Asked, base: BaseImage) -> Target:
    return Target(_python(asked, base).version, plan.platform_of_uv(base.platform, base.libc))


def _image(to: Destination, digest: str, *, reused: bool) -> Image:
    return Image(digest, f"oci://{to.repository}:{to.tag}@{digest}", reused)
