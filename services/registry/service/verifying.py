"""What clients sent by signed URLs becomes a version's bytes once it was read and hashed."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from libs.chassis.blobs import Blob, BlobDamagedError, BlobStore
from libs.chassis.context import Cause, bound
from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Database
from libs.contracts.types import cut
from services.registry.archive import ArchiveWalk
from services.registry.domain import Repository, Transfer, Version
from services.registry.errors import ArchiveRefusedError, UploadLostError
from services.registry.service.archives import described, lock_in, walk_of
from services.registry.service.tx import Tx
from services.registry.service.uploads import Uploads

_BEAT: Final = timedelta(seconds=15)
_SILENT: Final = 4 * _BEAT
"""Whoever verified it is gone after so long."""
_log = structlog.get_logger()


class Verifying:
    """Each to its end, however often that is begun: until then nothing points to the bytes."""

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        uploads: Uploads,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._uploads = uploads
        self._clock = clock

    async def turn(self) -> bool:
        """One that is due. False when none is; what the store does not give is due again later."""
        now = self._clock()
        async with self._database.transaction() as tx:
            transfer = await tx.transfers.take_due(since=now - _SILENT, now=now)
            found = await tx.transfers.version(transfer.version_id) if transfer else None
        if transfer is None or found is None:
            return False
        cause = Cause(
            transfer.actor,
            transfer.org_id,
            correlation_id=transfer.correlation,
            traceparent=transfer.traceparent,
        )
        repository, version = found
        with bound(cause):
            # Whoever has taken the version's upload since then must not be taken for this one.
            await self._settle(transfer, repository, replace(version, upload_id=transfer.id))
        return True

    async def _settle(self, transfer: Transfer, repository: Repository, version: Version) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._beat(transfer))
                await self._verify(transfer, repository, version)
                beating.cancel()
        except* ServiceError as errors:
            error = errors.exceptions[0]
            if isinstance(error, ServiceError):
                await self._failed(transfer, version, error)

    async def _verify(self, transfer: Transfer, repository: Repository, version: Version) -> None:
        walk = walk_of(repository.kind)
        blob = await self._adopted(transfer, walk)
        try:
            tag = f"{repository.name}:{version.version}"
            await asyncio.to_thread(described, walk.finish(), tag)
            await self._uploads.renew(version, blob.size_bytes)
        except ServiceError:
            if blob.location != transfer.location:
                await self._store.remove(blob.location)
            raise
        await self._uploads.finish(repository, version, blob, lock=lock_in(walk))
        await self._end(transfer)

    async def _adopted(self, transfer: Transfer, walk: ArchiveWalk) -> Blob:
        direct = self._store.direct
        if transfer.location is None or direct is None:
            return await self._joined(transfer, walk)
        where, upload = transfer.location, transfer.store_upload or ""
        parts = transfer.parts if transfer.in_parts else await direct.parts_of(where, upload)
        if transfer.in_parts and not parts:
            raise ArchiveRefusedError("no part was sent")
        # Where it is one PUT and there is no part, it was joined before a crash, or never sent.
        if parts:
            await direct.join_parts(where, upload, parts)
        return await direct.adopt(where, walk)

    async def _joined(self, transfer: Transfer, walk: ArchiveWalk) -> Blob:
        """Those parts that the client named, and no others."""
        async with self._database.read() as tx:
            parts = dict(await tx.transfers.parts(transfer.id))
        named = [
            (parts.get(number), etag.strip('"').removeprefix("sha256:"))
            for number, etag in transfer.parts
        ]
        if not named or any(
            part is None or part.digest != f"sha256:{etag}" for part, etag in named
        ):
            raise ArchiveRefusedError("not every part that was named has come")
        async with self._store.receive(walk) as receiving:
            for part, _ in named:
                if part is not None:
                    async with aclosing(self._store.read(part)) as chunks:
                        async for chunk in chunks:
                            await receiving.write(chunk)
            return await receiving.commit()

    async def _failed(self, transfer: Transfer, version: Version, error: ServiceError) -> None:
        if error.kind.transient and not isinstance(error, BlobDamagedError):
            _log.warning("transfer.deferred", transfer_id=str(transfer.id), detail=error.detail)
            return
        if not isinstance(error, UploadLostError):
            await self._uploads.fail(version, cut(error.detail))
        await self._end(transfer)

    async def _end(self, transfer: Transfer) -> None:
        """Rows first: what a crash leaves is unknown to everybody, and collected.

        What was sent may be a version's bytes by now: then it stays where it is.
        """
        async with self._database.transaction() as tx:
            parts = await tx.transfers.parts(transfer.id)
            await tx.transfers.remove(transfer.id)
            kept = await tx.unneeded.known([transfer.location or ""])
        direct = self._store.direct
        if direct is not None and transfer.location is not None and not kept:
            await direct.forget(transfer.location, transfer.store_upload)
        for _, part in parts:
            await self._store.remove(part.location)

    async def _beat(self, transfer: Transfer) -> None:
        while True:
            await asyncio.sleep(_BEAT.total_seconds())
            async with self._database.transaction() as tx:
                await tx.transfers.tried(transfer.id, self._clock())
