"""The loop that takes builds from the queue, several at a time, and says how each of them ended."""

import asyncio
import errno
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.chassis import context, telemetry
from libs.chassis.errors import ServiceError
from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.lifecycle import Wake
from services.builder.domain import Order
from services.builder.errors import (
    BuilderFullError,
    BuildFailedError,
    IndexUnreachableError,
    OutOfTurnError,
)
from services.builder.service import Attempt, Attesting, Builds, Housekeeping, Making, Progress

log = structlog.get_logger(__name__)

_POLL: Final = timedelta(seconds=1)
"""How late a build that was put off may begin."""
_HEED: Final = timedelta(seconds=0.5)
"""How late one is stopped that somebody cancelled through another replica."""
_SWEEP: Final = timedelta(hours=1)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=15)
_LONGEST_WISH: Final = timedelta(minutes=5)
"""What a registry that wants to be left alone is granted."""
_ATTEMPTS: Final = 60
"""A quarter of an hour: another service may be down for that long."""
_ATTEMPTS_AT_AN_INDEX: Final = 3
"""The index is named by a setting, which may simply be wrong; uv tries several times itself."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """``lanes`` is how many builds are under way, ``timeout`` how long an attempt may take."""

    lanes: int = 2
    lanes_per_org: int = 2
    timeout: timedelta = timedelta(hours=1)


class Worker:
    """Works at several builds at once. An error of one never holds up another."""

    def __init__(
        self,
        builds: Builds,
        making: Making,
        *,
        housekeeping: Housekeeping,
        attesting: Attesting,
        lanes: Lanes,
        wake: Wake,
    ) -> None:
        self._builds = builds
        self._making = making
        self._housekeeping = housekeeping
        self._attesting = attesting
        self._lanes = lanes
        self._wake = wake
        self._under_way: dict[UUID, Attempt] = {}
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
        await self._making.tidy()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heed(), name="builds cancelled")
            group.create_task(self._sweep(), name="builds swept")
            group.create_task(self._attest(), name="images attested")
            for number in range(self._lanes.lanes):
                group.create_task(self._work(), name=f"builds {number}")

    async def turn(self) -> bool:
        """One build, to its end or put off; False when none is due."""
        async with self._choosing:
            order = await self._builds.start(
                besides=self._under_way, full=self._full(), awaited=self._crowded()
            )
            if order is None:
                return False
            attempt = self._under_way[order.id] = Attempt(order, self._lanes.timeout)
        try:
            with _because(order):
                await self._build(attempt)
        finally:
            self._under_way.pop(order.id, None)
        return True

    async def heed(self) -> None:
        """End what somebody has cancelled, be it under way here or nowhere any more."""
        async with self._choosing:
            for order in await self._builds.unwanted():
                attempt = self._under_way.get(order.id)
                if attempt is not None:
                    attempt.cancel()
                    continue
                with _because(order):
                    await self._cancelled(order, self._making.progress(order))

    def _full(self) -> list[UUID]:
        """Organisations that have as much under way as each of them may."""
        count = Counter(each.order.org_id for each in self._under_way.values())
        return [org for org, lanes in count.items() if lanes >= self._lanes.lanes_per_org]

    def _crowded(self) -> bool:
        """Whether the last of several lanes is kept for what somebody waits for."""
        unawaited = [each.order.awaited_by == "nobody" for each in self._under_way.values()]
        return 0 < self._lanes.lanes - 1 <= sum(unawaited)

    async def _work(self) -> None:
        while True:
            try:
                worked = await self.turn()
            except ServiceError as error:
                log.warning("worker.deferred", code=error.code, detail=error.detail)
                worked = False
            if not worked:
                await self._wake.wait(_POLL)

    async def _attest(self) -> None:
        """Beside builds, which do not wait for it."""
        while True:
            try:
                worked = await self._attesting.turn()
            except Exception:
                log.exception("worker.not_attested")
                worked = False
            if not worked:
                await asyncio.sleep(_POLL.total_seconds())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP.total_seconds())
            try:
                await self._housekeeping.sweep()
            except (ServiceError, OSError) as error:
                log.warning("worker.not_swept", why=str(error))

    async def _heed(self) -> None:
        while True:
            try:
                await self.heed()
            except ServiceError as error:
                log.warning("worker.deferred", code=error.code, detail=error.detail)
            await self._wake.wait(_HEED)

    async def _build(self, attempt: Attempt) -> None:
        order, begun = attempt.order, time.monotonic()
        progress = self._making.progress(order)
        if order.attempts > _ATTEMPTS:
            words = "the builder died of it again and again"
            await self._fail(order, progress, code="build-crashed", reason=words)
            return
        try:
            image = await attempt.work(self._making.make(order, progress))
            seconds = 0.0 if image.reused else time.monotonic() - begun
            await self._builds.built(order, image, seconds, report=progress.report)
            log.info("build.built", digest=image.digest, reused=image.reused, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - every one of them is told
            await self._ended(attempt, progress, _first(error))

    async def _ended(self, attempt: Attempt, progress: Progress, error: Exception) -> None:
        order = attempt.order
        if attempt.stopped and attempt.cancelled:
            await self._cancelled(order, progress)
        elif attempt.stopped:
            limit = f"it was not complete after {attempt.limit.total_seconds():g} s"
            await self._fail(order, progress, code="build-timeout", reason=limit)
        elif isinstance(error, OutOfTurnError):
            progress.note(str(error))
            await self._builds.step_back(order)
        elif isinstance(error, BuildFailedError):
            await self._fail(order, progress, code=error.code, reason=error.reason)
        elif isinstance(error, ServiceError):
            await self._put_off_or_fail(order, progress, error)
        else:
            log.error("build.crashed", exc_info=error)
            words = f"{type(error).__name__}: {error}"
            await self._fail(order, progress, code="build-crashed", reason=words)

    async def _put_off_or_fail(self, order: Order, progress: Progress, error: ServiceError) -> None:
        most = _ATTEMPTS_AT_AN_INDEX if isinstance(error, IndexUnreachableError) else _ATTEMPTS
        if not error.kind.transient or order.attempts >= most:
            await self._fail(order, progress, code=error.code, reason=error.detail)
            return
        grown = min(_FIRST_PAUSE * 2 ** min(order.attempts - 1, 8), _LONGEST_PAUSE)
        pause = max(grown, min(error.retry_after or grown, _LONGEST_WISH))
        progress.note(f"{error.code}: {error.detail}\nagain in {pause.seconds} s")
        detail = progress.shown(error.detail)
        log.warning("build.put_off", code=error.code, detail=detail, attempt=order.attempts)
        await self._builds.put_off(order, pause)

    async def _fail(self, order: Order, progress: Progress, *, code: str, reason: str) -> None:
        progress.note(f"failed: {code}\n{reason}")
        log.warning("build.failed", code=code)
        reason = progress.shown(reason)
        await self._builds.failed(order, code, reason, report=progress.report)

    async def _cancelled(self, order: Order, progress: Progress) -> None:
        progress.note("cancelled")
        log.info("build.cancelled")
        await self._builds.cancelled(order, report=progress.report)


def _first(error: Exception) -> Exception:
    """What went wrong in the first of several tasks; for good, if one of them says so."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return BuilderFullError(str(error))
    if not isinstance(error, ExceptionGroup):
        return error
    each = [_first(inner) for inner in error.exceptions]
    return next((inner for inner in each if isinstance(inner, BuildFailedError)), each[0])


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
