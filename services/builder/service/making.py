"""From an order to a complete image: fetch, lock, install, assemble; starts over if interrupted."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import yaml

from services.builder import plan
from services.builder.archive import unpack
from services.builder.domain import Image, Interpreter, Model, Order
from services.builder.environments import Folders, NeedsBuildingError, Uv, remove
from services.builder.errors import BuildFailedError
from services.builder.service.builds import Builds
from services.builder.upstream import Registry

_OWN_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Where a manifest names none: one that is certainly there."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was fetched, unpacked."""

    bento: Path
    models: dict[Model, Path]


@dataclass(frozen=True, slots=True)
class _Ingredients:
    """What an environment is made of."""

    lock: str
    python: Interpreter


class Making:
    """Builds of one environment take turns: the second finds what the first has made."""

    def __init__(self, builds: Builds, registry: Registry, *, folders: Folders, uv: Uv) -> None:
        self._builds = builds
        self._registry = registry
        self._folders = folders
        self._uv = uv
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, order: Order) -> Image:
        """Raises ``BuildFailedError`` for good, and transient errors when trying again may help."""
        if order.target != "local":
            raise BuildFailedError(
                "target-not-supported", f"images for target {order.target} are not built here"
            )
        work = self._folders.work(order.id)
        try:
            return await self._make(order, work)
        finally:
            await asyncio.to_thread(remove, work)

    def note(self, order: Order, line: str) -> None:
        """For whoever reads the build's log."""
        with self._folders.log(order.id).open("a") as out:
            out.write(f"{line}\n")

    async def _make(self, order: Order, work: Path) -> Image:
        parts = await self._fetch(order, work)
        manifest = _manifest(parts.bento)
        for command in plan.dropped_commands(manifest):
            self.note(order, f"left out, as this machine has its own tools: {command}")
        wanted = plan.python_of(manifest, fallback=_OWN_PYTHON)
        python = await self._uv.interpreter(wanted, self._folders.log(order.id))
        lock = await self._lock(order, parts.bento, manifest=manifest, python=python)
        made = _Ingredients(lock, python)
        shared = plan.environment_digest(lock, python)
        try:
            return await self._from(order, parts, made, environment=shared, wheels_only=True)
        except NeedsBuildingError as error:
            self.note(order, f"not shared with other organisations: {error}")
        own = plan.environment_digest(lock, python, org_id=order.org_id)
        return await self._from(order, parts, made, environment=own, wheels_only=False)

    async def _from(
        self,
        order: Order,
        parts: _Parts,
        made: _Ingredients,
        *,
        environment: str,
        wheels_only: bool,
    ) -> Image:
        digest = plan.image_digest(environment, order.bento_digest, order.models)
        async with self._turns.setdefault(environment, asyncio.Lock()):
            await self._builds.claim(order, environment=environment, image=digest)
            if self._folders.has_image(digest):
                self.note(order, f"image {digest} exists")
                return self._folders.found(digest, reused=True)
            if not self._folders.has_environment(environment):
                folder, log = self._folders.environment(environment), self._folders.log(order.id)
                await self._uv.install(
                    made.lock, made.python, folder, log=log, wheels_only=wheels_only
                )
                await asyncio.to_thread(self._folders.complete, environment)
            await asyncio.to_thread(
                self._folders.assemble, digest, environment, parts.bento, models=parts.models
            )
        self.note(order, f"image {digest} is complete")
        return self._folders.found(digest, reused=False)

    async def _fetch(self, order: Order, work: Path) -> _Parts:
        """By digest only: what a tag means by now does not matter."""
        self.note(order, f"fetching {order.repository}:{order.version} {order.bento_digest}")
        bento = await self._unpacked(order, order.bento_digest, work / "bento")
        models = {
            each: await self._unpacked(order, each.digest, work / f"model-{number}")
            for number, each in enumerate(order.models)
        }
        return _Parts(bento, models)

    async def _unpacked(self, order: Order, digest: str, folder: Path) -> Path:
        file = folder.with_suffix(".tar")
        await self._registry.fetch(digest, order.org_id, file)
        await asyncio.to_thread(unpack, file, folder)
        file.unlink()
        return folder

    async def _lock(
        self, order: Order, bento: Path, *, manifest: Mapping[str, Any], python: Interpreter
    ) -> str:
        key = (order.org_id, order.bento_digest, python.version, python.platform)
        known = await self._builds.lock(key)
        if known is not None:
            return known
        folder = bento / "env" / "python"
        if any(folder.glob("wheels/*")):
            raise BuildFailedError("wheels-not-supported", "the bento brings wheels of its own")
        file = folder / "requirements.txt"
        wanted = plan.requirements_of(manifest, file.read_text() if file.exists() else "")
        lock = await self._uv.compile(wanted, python, bento.parent, log=self._folders.log(order.id))
        return await self._builds.keep_lock(key, lock)


def _manifest(bento: Path) -> Mapping[str, Any]:
    try:
        manifest = yaml.safe_load((bento / "bento.yaml").read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BuildFailedError("archive-invalid", f"bento.yaml cannot be read: {error}") from error
    if not isinstance(manifest, Mapping):
        raise BuildFailedError("archive-invalid", "bento.yaml is no mapping")
    return manifest
