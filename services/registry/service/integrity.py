"""Bytes that are read, by callers or on schedule; and what follows when they are wrong."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from prometheus_client import Counter

from libs.chassis import context
from libs.chassis.blobs import Blob, BlobDamagedError, BlobStore
from libs.chassis.metrics import REGISTRY
from libs.chassis.postgres import Database
from libs.contracts.registry import BentoDamaged, ModelDamaged
from services.registry.domain import Kind
from services.registry.service.tx import Tx
from services.registry.store import Affected

DAMAGED: Final = "the stored bytes turned out to be damaged; push again"
_CHECKED: Final = Counter(
    "yokocho_blob_checked_bytes", "Bytes that were read again on schedule", registry=REGISTRY
)
_FOUND: Final = Counter(
    "yokocho_blobs_damaged", "Blobs that were wrong", ("found",), registry=REGISTRY
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Checked:
    """``verified_at`` is when the bytes were right before this check."""

    blob: Blob
    is_right: bool
    verified_at: datetime


class Integrity:
    """What is wrong is put aside, said, and from then on missing: a push brings it back."""

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def read(
        self, blob: Blob, *, first: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As the store does, and raises ``BlobDamagedError`` too."""
        try:
            async with aclosing(self._store.read(blob, first=first, length=length)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except BlobDamagedError as error:
            await self._doubt(blob, error)
            raise

    async def check(self, blob: Blob, *, bytes_per_second: float | None = None) -> bool:
        """Read all of it, past any cache, and compare its SHA-256."""
        sha = hashlib.sha256()
        try:
            async with aclosing(self._store.read(blob, fresh=True)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(sha.update, chunk)
                    _CHECKED.inc(len(chunk))
                    if bytes_per_second is not None:
                        await asyncio.sleep(len(chunk) / bytes_per_second)
        except BlobDamagedError as error:
            await self._put_aside(blob, found="check", detail=error.detail)
            return False
        if blob.digest != f"sha256:{sha.hexdigest()}":
            await self._put_aside(blob, found="check", detail="the digest is another")
            return False
        async with self._database.transaction() as tx:
            await tx.blobs.verified(blob.digest, self._clock())
        return True

    async def check_oldest(
        self, *, older_than: timedelta, bytes_per_second: float
    ) -> Checked | None:
        """The one whose last check is farthest away, if that is ``older_than``."""
        async with self._database.read() as tx:
            found = await tx.blobs.oldest()
        if found is None or found[1] > self._clock() - older_than:
            return None
        blob, before = found
        is_right = await self.check(blob, bytes_per_second=bytes_per_second)
        return Checked(blob, is_right, before)

    async def oldest_age(self) -> timedelta:
        """How long the bytes that were not read for the longest time were not."""
        async with self._database.read() as tx:
            found = await tx.blobs.oldest()
        return self._clock() - found[1] if found else timedelta()

    async def _doubt(self, blob: Blob, error: BlobDamagedError) -> None:
        """Once more, past any cache: what was wrong on its way is right where it lies."""
        try:
            async with aclosing(
                self._store.read(blob, first=error.at, length=1, fresh=True)
            ) as chunks:
                async for _ in chunks:
                    pass
        except BlobDamagedError as again:
            await self._put_aside(blob, found="read", detail=again.detail)

    async def _put_aside(self, blob: Blob, *, found: str, detail: str) -> None:
        now = self._clock()
        async with self._database.transaction() as tx:
            if not await tx.blobs.damaged(blob, now=now):
                return
            affected = await tx.blobs.fail_versions(blob.digest, DAMAGED, now)
            for each in affected:
                event = _damaged(each, blob, found)
                with _by_the_registry(each.org_id):
                    await tx.outbox.append(event, entity_seq=each.seq, org_id=each.org_id)
        _FOUND.labels(found).inc()
        _log.error(
            "blob.damaged", digest=blob.digest, found=found, detail=detail, versions=len(affected)
        )
        await self._store.quarantine(blob.location)


def _by_the_registry(org_id: UUID) -> AbstractContextManager[context.Cause]:
    """Whoever happened to read it is nobody's business, least of all another organisation's."""
    return context.bound(context.Cause("service:registry", org_id, correlation_id=uuid4().hex))


def _damaged(version: Affected, blob: Blob, found: str) -> BentoDamaged | ModelDamaged:
    if version.kind == Kind.BENTO:
        return BentoDamaged(
            bento_id=version.id,
            repository=version.repository,
            version=version.version,
            digest=blob.digest,
            found=found,
        )
    return ModelDamaged(
        model_id=version.id,
        repository=version.repository,
        version=version.version,
        digest=blob.digest,
        found=found,
    )
