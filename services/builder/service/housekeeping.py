"""What is removed because it is old, or of no use, or too much."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.chassis.postgres import Database
from services.builder.domain import Pruned
from services.builder.environments import Leavings
from services.builder.service.images import Images
from services.builder.service.sharing import SharedLayers
from services.builder.service.tx import Tx

_SCRATCH: Final = timedelta(days=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long, and how much of each cache. No ``cache_bytes``: whatever is of use."""

    logs: timedelta = timedelta(days=30)
    unused: timedelta = timedelta(days=90)
    cache_bytes: int | None = None


class Cache(Protocol):
    async def trim(self, budget: int | None) -> int:
        """How many bytes were freed, of what no build is using."""


class Housekeeping:
    def __init__(
        self,
        database: Database[Tx],
        images: Images,
        *,
        leavings: Leavings,
        caches: Sequence[Cache],
        keep: Keep,
        shared: SharedLayers | None = None,
    ) -> None:
        self._database = database
        self._images = images
        self._leavings = leavings
        self._caches = caches
        self._keep = keep
        self._shared = shared

    async def prune(self, org_id: UUID) -> Pruned:
        """What an organisation has and need not have; nothing of another's is touched."""
        images = await self._images.prune(org_id)
        return images + await self._old(org_id)

    async def sweep(self) -> Pruned:
        """On schedule, for all: what is old, what builds left, what the tools hoard.

        Images and environments stay until somebody prunes.
        """
        swept = await self._old(None) + await self._left() + await self._hoarded()
        if self._shared is not None:
            swept += Pruned(forgotten=await self._shared.sweep(self._keep.unused))
        log.info("builds.swept", removed=len(swept.removed), bytes=swept.freed_bytes)
        return swept

    async def _old(self, org_id: UUID | None) -> Pruned:
        logs = await asyncio.to_thread(self._leavings.logs)
        async with self._database.transaction() as tx:
            forgotten = await tx.upkeep.forget(org_id, self._keep.unused)
            old = await tx.upkeep.long_ended(logs, org_id, self._keep.logs)
        gone, size = await asyncio.to_thread(self._leavings.remove, [logs[each] for each in old])
        return Pruned(tuple(gone), size, forgotten)

    async def _left(self) -> Pruned:
        work = await asyncio.to_thread(self._leavings.work)  # before its builds are asked for
        async with self._database.read() as tx:
            under_way = await tx.upkeep.under_way(work)
        left = [path for build, path in work.items() if build not in under_way]
        scratch = await asyncio.to_thread(self._leavings.scratch, _SCRATCH)
        gone, size = await asyncio.to_thread(self._leavings.remove, [*left, *scratch])
        return Pruned(tuple(gone), size)

    async def _hoarded(self) -> Pruned:
        budget = self._keep.cache_bytes
        much = await asyncio.to_thread(self._leavings.crowding, budget, _SCRATCH)
        gone, size = await asyncio.to_thread(self._leavings.remove, much)
        freed = [await each.trim(budget) for each in self._caches]
        return Pruned(tuple(gone), size + sum(freed))
