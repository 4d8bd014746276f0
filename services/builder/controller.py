"""The loop that builds: one after the other, oldest first, again where a worker died."""

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
import yaml

from libs.chassis import context, telemetry
from libs.chassis.errors import ServiceError
from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.lifecycle import Wake
from services.builder import plan
from services.builder.archive import unpack
from services.builder.domain import Image, Interpreter, Model, Order
from services.builder.environments import Folders, Uv
from services.builder.errors import BuildFailedError
from services.builder.service import Builds
from services.builder.upstream import Registry

log = structlog.get_logger(__name__)

_POLL: Final = timedelta(seconds=5)
_RETRY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was fetched, unpacked."""

    bento: Path
    models: dict[Model, Path]


class Worker:
    def __init__(
        self, builds: Builds, registry: Registry, *, folders: Folders, uv: Uv, wake: Wake
    ) -> None:
        self._builds = builds
        self._registry = registry
        self._folders = folders
        self._uv = uv
        self._wake = wake

    async def lead(self, lease: Lease) -> None:
        """Run whenever no other replica does. Never returns."""
        while True:
            try:
                async with lease.hold():
                    await self.run()
            except LeaseLostError:
                log.warning("worker.paused")

    async def run(self) -> None:
        """Never returns."""
        while True:
            try:
                worked = await self.turn()
            except ServiceError as error:
                log.warning("build.deferred", code=error.code, detail=error.detail)
                await self._wake.wait(_RETRY)
                continue
            if not worked:
                await self._wake.wait(_POLL)

    async def turn(self) -> bool:
        """One build, to its end; False when there is none."""
        order = await self._builds.start()
        if order is None:
            return False
        with _because(order):
            try:
                begun = time.monotonic()
                image = await self._build(order)
                seconds = 0.0 if image.reused else time.monotonic() - begun
                await self._builds.built(order, image, seconds)
                log.info("build.built", digest=image.digest, reused=image.reused, seconds=seconds)
            except BuildFailedError as error:
                await self._fail(order, error.code, error.reason)
            except ServiceError as error:
                if error.kind.transient:
                    raise
                await self._fail(order, error.code, error.detail)
            except Exception as error:
                log.exception("build.crashed")
                await self._fail(order, "build-crashed", f"{type(error).__name__}: {error}")
            finally:
                await asyncio.to_thread(
                    shutil.rmtree, self._folders.root / "work" / str(order.id), ignore_errors=True
                )
        return True

    async def _fail(self, order: Order, code: str, reason: str) -> None:
        self._note(order, f"failed: {code}\n{reason}")
        log.warning("build.failed", code=code)
        await self._builds.failed(order, code, reason)

    async def _build(self, order: Order) -> Image:
        if order.target != "local":
            raise BuildFailedError(
                "target-not-supported", f"images for target {order.target} are not built here"
            )
        work = self._folders.work(order.id)
        parts = await self._fetch(order, work)
        manifest = _manifest(parts.bento)
        for command in plan.dropped_commands(manifest):
            self._note(order, f"left out, as this machine has its own tools: {command}")
        python = await self._interpreter(order, manifest)
        lock = await self._lock(order, parts.bento, manifest=manifest, python=python)
        environment = plan.environment_digest(lock, python)
        digest = plan.image_digest(environment, order.bento_digest, order.models)
        await self._builds.claim(order, environment=environment, image=digest)
        if self._folders.has_image(digest):
            self._note(order, f"image {digest} exists")
            return self._folders.found(digest, reused=True)
        if not self._folders.has_environment(environment):
            folder = self._folders.environment(environment)
            await self._uv.install(lock, python, folder, log=self._folders.log(order.id))
            await asyncio.to_thread(self._folders.complete, environment)
        await asyncio.to_thread(
            self._folders.assemble, digest, environment, parts.bento, models=parts.models
        )
        self._note(order, f"image {digest} is complete")
        return self._folders.found(digest, reused=False)

    async def _fetch(self, order: Order, work: Path) -> _Parts:
        """By digest only: what a tag means by now does not matter."""
        self._note(order, f"fetching {order.repository}:{order.version} {order.bento_digest}")
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

    async def _interpreter(self, order: Order, manifest: Mapping[str, Any]) -> Interpreter:
        wanted = plan.python_of(manifest, fallback="3.11")
        return await self._uv.interpreter(wanted, self._folders.log(order.id))

    async def _lock(
        self,
        order: Order,
        bento: Path,
        *,
        manifest: Mapping[str, Any],
        python: Interpreter,
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

    def _note(self, order: Order, line: str) -> None:
        with self._folders.log(order.id).open("a") as out:
            out.write(f"{line}\n")


def _manifest(bento: Path) -> Mapping[str, Any]:
    try:
        manifest = yaml.safe_load((bento / "bento.yaml").read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BuildFailedError("archive-invalid", f"bento.yaml cannot be read: {error}") from error
    if not isinstance(manifest, Mapping):
        raise BuildFailedError("archive-invalid", "bento.yaml is no mapping")
    return manifest


@contextmanager
def _because(order: Order) -> Iterator[None]:
    """In the name and in the trace of whoever asked."""
    origin = order.origin
    with (
        telemetry.tracer().start_as_current_span(
            "image.build", context=telemetry.remote_context(origin.traceparent)
        ),
        context.bound(
            context.Cause(
                actor=origin.actor,
                org_id=order.org_id,
                correlation_id=origin.correlation_id,
                causation_id=origin.causation_id,
                traceparent=telemetry.traceparent() or origin.traceparent,
            )
        ),
        structlog.contextvars.bound_contextvars(build_id=str(order.id)),
    ):
        yield
