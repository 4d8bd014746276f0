"""Collects what nobody needs: the expired trash, and bytes that nothing points to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from libs.chassis.blobs import BlobStore, Stored
from libs.chassis.metrics import REGISTRY
from libs.chassis.postgres import Database
from services.registry.domain import Trashed, Unneeded
from services.registry.errors import CollectionBrakedError
from services.registry.plan import BRAKE_BYTES, BRAKE_SHARE, brakes
from services.registry.service.deletion import Deletion
from services.registry.service.oci import OciBlobs
from services.registry.service.tx import Tx

_BATCH: Final = 500
_COLLECTED: Final = Counter(
    "yokocho_blob_collected_bytes", "Bytes that nobody needed and that are gone", registry=REGISTRY
)
_BRAKED: Final = Gauge(
    "yokocho_blob_collection_braked",
    "1 while collecting would take so much that somebody has to look first",
    registry=REGISTRY,
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """``unneeded``: how long bytes must have been so. ``deleting``: how long they stay marked."""

    unneeded: timedelta
    deleting: timedelta
    unknown: timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would take now. ``others_bytes`` belonged to other organisations, or to none."""

    trash: Sequence[Trashed]
    unneeded: Sequence[Unneeded]
    others_bytes: int
    braked: bool


@dataclass(frozen=True, slots=True)
class Taken:
    purged: int
    marked_bytes: int
    removed_bytes: int


class Collection:
    """In two phases: bytes are marked first, and go when still nobody has asked for them.

    Runs beside pushes. Rows go before bytes: what a crash leaves between is an unknown file.
    """

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        *,
        deletion: Deletion,
        images: OciBlobs,
        patience: Patience,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._deletion = deletion
        self._images = images
        self._patience = patience
        self._clock = clock

    async def plan(self, org_id: UUID) -> Plan:
        """A dry run, as far as ``org_id`` may see."""
        now = self._clock()
        async with self._database.read() as tx:
            trash = await tx.trash.all(org_id, None, before=None, count=_BATCH)
            unneeded = await tx.unneeded.all(now - self._patience.unneeded)
            total = await tx.unneeded.total()
        mine = [each for each in unneeded if each.released_org == org_id]
        others = sum(each.size_bytes for each in unneeded) - sum(each.size_bytes for each in mine)
        due = [each for each in trash if each.purge_at <= now]
        return Plan(due, mine, others, brakes(unneeded, total=total))

    async def run(self, *, force: bool = False) -> Taken:
        """Raises ``CollectionBrakedError`` before it marks too much, unless ``force``."""
        purged = 0
        while await self._deletion.purge_one():
            purged += 1
        await self._images.let_go()
        removed = await self._sweep(self._patience.deleting)
        marked = await self._mark(self._patience.unneeded, force=force)
        return Taken(purged, marked, removed)

    async def empty(self, org_id: UUID, *, force: bool = False) -> Taken:
        """Now: all that is in the organisation's trash, and all bytes that nobody points to.

        What a push is bringing at this moment is not among them: it is no row yet.
        """
        purged = 0
        while await self._deletion.purge_one(org_id=org_id, early=True):
            purged += 1
        marked = await self._mark(timedelta(), force=force)
        removed = await self._sweep(timedelta())
        return Taken(purged, marked, removed)

    async def remove_unknown(self, *, force: bool = False) -> int:
        """Bytes that no database knows of, and that are older than any upload; how many."""
        unknown: list[Stored] = []
        total, batch = 0, list[Stored]()
        async for each in self._store.everything():
            total += each.size_bytes
            batch.append(each)
            if len(batch) == _BATCH:
                unknown += await self._unknown(batch)
                batch.clear()
        unknown += await self._unknown(batch)
        lost = sum(each.size_bytes for each in unknown)
        self._brake(lost > max(BRAKE_BYTES, total * BRAKE_SHARE), force=force, wanted=lost)
        for each in unknown:
            await self._store.remove(each.location)
            _log.info("blob.unknown_removed", location=each.location, bytes=each.size_bytes)
        return lost

    async def forget_unfinished(self) -> int:
        """What was begun in the store itself and never became anything; how many."""
        return await self._store.forget_before(self._clock() - self._patience.unknown)

    async def _unknown(self, batch: Sequence[Stored]) -> list[Stored]:
        """Asked after the listing: what a push finished meanwhile is known by then."""
        since = self._clock() - self._patience.unknown
        async with self._database.read() as tx:
            known = await tx.unneeded.known([each.location for each in batch])
        return [each for each in batch if each.location not in known and each.changed_at <= since]

    async def _mark(self, patience: timedelta, *, force: bool) -> int:
        now = self._clock()
        since = now - patience
        async with self._database.transaction() as tx:
            await tx.unneeded.revive(now)
            found = await tx.unneeded.all(since)
            wanted = sum(each.size_bytes for each in found)
            total = await tx.unneeded.total()
            self._brake(brakes(found, total=total), force=force, wanted=wanted)
            digests = [each.digest for each in found]
            return await tx.unneeded.mark(digests, since=since, now=now)

    async def _sweep(self, patience: timedelta) -> int:
        removed = 0
        while (gone := await self._remove_one(self._clock() - patience)) is not None:
            removed += gone.size_bytes
            _COLLECTED.inc(gone.size_bytes)
            _log.info("blob.collected", digest=gone.digest, bytes=gone.size_bytes)
        return removed

    async def _remove_one(self, since: datetime) -> Unneeded | None:
        async with self._database.transaction() as tx:
            due = await tx.unneeded.lock_due(since)
            if due is None or not await tx.unneeded.forget(due.digest):
                return None
        await self._store.remove(due.place)
        return due

    @staticmethod
    def _brake(too_much: bool, *, force: bool, wanted: int) -> None:  # noqa: FBT001 - a value
        _BRAKED.set(too_much and not force)
        if too_much and not force:
            raise CollectionBrakedError(wanted)
