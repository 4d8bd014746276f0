"""The loop that takes builds from the queue, several at a time, and says how each of them ended."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.chassis import context, telemetry
from libs.chassis.errors import ServiceError
from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.lifecycle import Wake
from services.builder.domain import Order
from services.builder.errors import BuildFailedError, IndexUnreachableError
from services.builder.service import Builds, Making, Progress

log = structlog.get_logger(__name__)

_POLL: Final = timedelta(seconds=1)
"""How late a build that was put off may begin."""
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=15)
_ATTEMPTS: Final = 60
"""A quarter of an hour: another service may be down for that long."""
_ATTEMPTS_AT_AN_INDEX: Final = 3
"""The index is named by a setting, which may simply be wrong; uv tries several times itself."""


class Worker:
    """Works at ``lanes`` builds at once. An error of one never holds up another."""

    def __init__(self, builds: Builds, making: Making, *, lanes: int, wake: Wake) -> None:
        self._builds = builds
        self._making = making
        self._lanes = lanes
        self._wake = wake
        self._under_way: set[UUID] = set()
        self._choosing = asyncio.Lock()

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
        self._under_way.clear()
        async with asyncio.TaskGroup() as group:
            for number in range(self._lanes):
                group.create_task(self._work(), name=f"builds {number}")

    async def turn(self) -> bool:
        """One build, to its end or put off; False when none is due."""
        async with self._choosing:
            order = await self._builds.start(besides=self._under_way)
            if order is None:
                return False
            self._under_way.add(order.id)
        try:
            with _because(order):
                await self._build(order)
        finally:
            self._under_way.discard(order.id)
        return True

    async def _work(self) -> None:
        while True:
            try:
                worked = await self.turn()
            except ServiceError as error:
                log.warning("worker.deferred", code=error.code, detail=error.detail)
                worked = False
            if not worked:
                await self._wake.wait(_POLL)

    async def _build(self, order: Order) -> None:
        begun, progress = time.monotonic(), self._making.progress(order)
        try:
            image = await self._making.make(order, progress)
            seconds = 0.0 if image.reused else time.monotonic() - begun
            await self._builds.built(order, image, seconds, steps=progress.steps)
            log.info("build.built", digest=image.digest, reused=image.reused, seconds=seconds)
        except BuildFailedError as error:
            await self._fail(order, progress, code=error.code, reason=error.reason)
        except ServiceError as error:
            await self._put_off_or_fail(order, progress, error)
        except Exception as error:
            log.exception("build.crashed")
            await self._fail(
                order, progress, code="build-crashed", reason=f"{type(error).__name__}: {error}"
            )

    async def _put_off_or_fail(self, order: Order, progress: Progress, error: ServiceError) -> None:
        most = _ATTEMPTS_AT_AN_INDEX if isinstance(error, IndexUnreachableError) else _ATTEMPTS
        if not error.kind.transient or order.attempts >= most:
            await self._fail(order, progress, code=error.code, reason=error.detail)
            return
        pause = min(_FIRST_PAUSE * 2 ** min(order.attempts - 1, 8), _LONGEST_PAUSE)
        progress.note(f"{error.code}: {error.detail}\nagain in {pause.seconds} s")
        log.warning("build.put_off", code=error.code, detail=error.detail, attempt=order.attempts)
        await self._builds.put_off(order, pause)

    async def _fail(self, order: Order, progress: Progress, *, code: str, reason: str) -> None:
        progress.note(f"failed: {code}\n{reason}")
        log.warning("build.failed", code=code)
        await self._builds.failed(order, code, reason, steps=progress.steps)


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
