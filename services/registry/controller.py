"""Loops: uploads whose pusher has vanished are ended, versions of older code described."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from prometheus_client import Gauge

from libs.chassis.blobs import BlobsRefusedError, BlobsUnavailableError
from libs.chassis.errors import ServiceError
from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.lifecycle import Wake, sleep_or_stop
from libs.chassis.metrics import REGISTRY
from libs.chassis.postgres import DatabaseUnavailableError
from services.registry.service import (
    Collection,
    Holds,
    Integrity,
    OciBlobs,
    Retentions,
    Revisions,
    Search,
    Transfers,
    Uploads,
    Verifying,
)

_LANES: Final = 3
_LOOK: Final = timedelta(seconds=5)
_PAUSE: Final = timedelta(minutes=1)
_OLDEST: Final = Gauge(
    "yokocho_blob_oldest_check_seconds",
    "Since when the blob that was not read for the longest time was not",
    registry=REGISTRY,
)
_OFTEN: Final = timedelta(hours=1)
_log = structlog.get_logger()


async def fail_abandoned(uploads: Uploads) -> None:
    """Look four times per silence, until the service stops. A database that is away may return."""
    while not await sleep_or_stop(uploads.silence / 4):
        try:
            await uploads.fail_silent()
        except DatabaseUnavailableError as error:
            _log.warning("uploads.not_swept", detail=error.detail)


async def forget_uploads(blobs: OciBlobs) -> None:
    """Blobs of images that nobody goes on sending."""
    while True:
        try:
            await blobs.forget_silent()
        except DatabaseUnavailableError as error:
            _log.warning("oci_uploads.not_swept", detail=error.detail)
        if await sleep_or_stop(_OFTEN):
            return


async def describe_missing(search: Search) -> None:
    """After an upgrade once, and again where older code still ran beside this one."""
    while True:
        try:
            if described := await search.describe_missing():
                _log.info("versions.described", versions=described)
        except DatabaseUnavailableError as error:
            _log.warning("versions.not_described", detail=error.detail)
        if await sleep_or_stop(_OFTEN):
            return


async def lead(run: Callable[[], Awaitable[None]], lease: Lease) -> None:
    """Run whenever no other replica does. Never returns."""
    while True:
        try:
            async with lease.hold():
                await run()
        except LeaseLostError:
            _log.warning("loop.paused", reason="another replica may have taken over")


async def forget_transfers(transfers: Transfers) -> None:
    """Uploads by signed URLs that nobody finished."""
    while True:
        try:
            await transfers.forget_expired()
        except (DatabaseUnavailableError, BlobsUnavailableError, BlobsRefusedError) as error:
            _log.warning("transfers.not_swept", detail=error.detail)
        if await sleep_or_stop(_OFTEN):
            return


async def verify_sent(verifying: Verifying, wake: Wake) -> None:
    """Several at once: hashing waits for the store more than it computes. Never returns."""

    async def lane() -> None:
        while True:
            try:
                while await verifying.turn():
                    pass
            except ServiceError as error:
                _log.warning("verifying.deferred", code=error.code, detail=error.detail)
            await wake.wait(_LOOK)

    async with asyncio.TaskGroup() as group:
        for number in range(_LANES):
            group.create_task(lane(), name=f"verifying {number}")


class Scrubber:
    """Reads everything again, the longest unread first, at a pace that leaves room for work."""

    def __init__(self, integrity: Integrity, *, period: timedelta, bytes_per_second: float) -> None:
        self._integrity = integrity
        self._period = period
        self._pace = bytes_per_second

    async def run(self) -> None:
        """Never returns."""
        while True:
            try:
                while await self._integrity.check_oldest(
                    older_than=self._period, bytes_per_second=self._pace
                ):
                    pass
                _OLDEST.set((await self._integrity.oldest_age()).total_seconds())
            except (DatabaseUnavailableError, BlobsUnavailableError, BlobsRefusedError) as error:
                _log.warning("scrubber.deferred", detail=error.detail)
            await asyncio.sleep(_PAUSE.total_seconds())


class Collector:
    """Rules, trash, bytes, holds: whatever is due."""

    def __init__(
        self,
        retentions: Retentions,
        collection: Collection,
        holds: Holds,
        *,
        revisions: Revisions,
        every: timedelta,
    ) -> None:
        self._retentions = retentions
        self._collection = collection
        self._holds = holds
        self._revisions = revisions
        self._every = every

    async def run(self) -> None:
        """Never returns."""
        while True:
            for step in (
                partial(self._holds.ask_about_stale, self._revisions),
                self._retentions.apply_all,
                self._collection.run,
                self._collection.remove_unknown,
                self._collection.forget_unfinished,
            ):
                try:
                    await step()
                except ServiceError as error:
                    _log.warning("collector.deferred", code=error.code, detail=error.detail)
            await asyncio.sleep(self._every.total_seconds())
