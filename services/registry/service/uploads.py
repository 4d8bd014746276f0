"""From the first announcement to the last byte: whose upload it is, and what it may take."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from libs.chassis import telemetry
from libs.chassis.blobs import Blob, BlobStore
from libs.chassis.postgres import Database, DatabaseUnavailableError
from libs.contracts.registry import BentoPushed, ModelPushed
from services.registry.domain import Kind, Repository, Upload, Version
from services.registry.errors import QuotaExceededError, UploadLostError, VersionNotFoundError
from services.registry.service.tx import Tx

INTERRUPTED: Final = "the upload was interrupted; push again"
STORED_BYTES: Final = "stored_bytes"
"""The limit of reserved and committed bytes together."""
_AHEAD: Final = 16 * 2**20
"""How far bytes whose number nobody announced may run ahead of their reservation."""
_log = structlog.get_logger()


class Uploads:
    """A version has one upload at a time, the newest: what an older one does changes nothing.

    Every change locks the version first and then the organisation's usage. ``silence`` is how
    long a client may send nothing.
    """

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        *,
        silence: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self.silence = silence

    async def announce(self, version: Version, size: int) -> Version:
        """Bytes will come, ``size`` perhaps. While some flow already, that is all there is."""
        return await self._open(version, size, upload_id=None)

    async def begin(self, version: Version, size: int) -> Version:
        """Bytes come now. Whoever was sending others has lost."""
        return await self._open(version, size, upload_id=uuid7())

    async def renew(self, upload: Version, reserved: int) -> None:
        """Bytes still flow, and there may be ``reserved`` of them."""
        async with self._database.transaction() as tx:
            held = await self._own(tx, upload)
            await charge(tx, held, reserved=reserved)
            await tx.store.renew(held.id, reserved=reserved, now=self._clock())

    async def fail(self, upload: Version, reason: str) -> None:
        """The upload is over. Nothing happens where it was not the version's any more."""
        async with self._database.transaction() as tx:
            held = await tx.store.lock_if_there(upload.id)
            if held is not None and held.upload_id == upload.upload_id:
                await self._fail(tx, held, reason)

    async def give_up(self, version: Version, reason: str) -> Version:
        """A client will send nothing. Where bytes flow, they are somebody else's."""
        async with self._database.transaction() as tx:
            held = await lock_live(tx, version)
            if held.upload_id is None and held.upload_status != Upload.SUCCESS:
                await self._fail(tx, held, reason)
            return await tx.store.lock(version.id)

    async def finish(
        self, repository: Repository, upload: Version, blob: Blob, *, lock: str = ""
    ) -> Version:
        """Point the version at its bytes and say so. The same bytes again say it once more.

        ``lock`` are requirements of the archive, for manifests that have none.

        Where this fails the bytes are left: whether the commit came through is not always known,
        and what nobody points to is collected.
        """
        async with self._database.transaction() as tx:
            held = await self._own(tx, upload)
            replaced = await tx.blobs.size_of(held.digest)
            now, traceparent = self._clock(), telemetry.traceparent()
            place = await tx.blobs.keep(blob, now=now)
            seq = await tx.store.finish(held.id, blob.digest, now=now, traceparent=traceparent)
            if not held.lock:
                await tx.lineage.put_packages(held.id, lock)
            await tx.outbox.append(_pushed(repository, held, blob), entity_seq=seq)
            await charge(tx, held, reserved=0, committed=blob.size_bytes - replaced)
            if held.digest not in {None, blob.digest}:
                await tx.trash.release(held.digest or "", org_id=held.org_id, now=now)
            finished = await tx.store.lock(held.id)
        if place != blob.location:
            await self._store.remove(blob.location)
        return finished

    async def fail_all(self) -> int:
        """At start: whatever was being received when the process died."""
        return await self._fail_since(self._clock())

    async def fail_silent(self) -> int:
        """Fail what nobody receives any more; how many they were.

        Twice the silence, because whoever receives notices after one, and removes its file.
        """
        return await self._fail_since(self._clock() - 2 * self.silence)

    async def _fail_since(self, since: datetime) -> int:
        failed = 0
        while await self._fail_one(since):
            failed += 1
        return failed

    async def _fail_one(self, since: datetime) -> bool:
        async with self._database.transaction() as tx:
            held = await tx.store.lock_silent(since)
            if held is not None:
                await self._fail(tx, held, INTERRUPTED)
                _log.warning("upload.abandoned", version_id=str(held.id))
            return held is not None

    async def _open(self, version: Version, size: int, *, upload_id: UUID | None) -> Version:
        try:
            async with self._database.transaction() as tx:
                held = await lock_live(tx, version)
                if upload_id is None and held.upload_id is not None:
                    return held
                await charge(tx, held, reserved=size)
                await tx.store.state(
                    held.id,
                    Upload.UPLOADING,
                    now=self._clock(),
                    reserved=size,
                    upload_id=upload_id,
                )
                return await tx.store.lock(held.id)
        except QuotaExceededError as error:
            await self.give_up(version, error.detail)
            raise

    async def _own(self, tx: Tx, upload: Version) -> Version:
        held = await tx.store.lock_if_there(upload.id)
        if held is None or held.upload_id != upload.upload_id:
            raise UploadLostError(
                f"the upload of '{upload.version}' was given up, or a newer one took its place"
            )
        return held

    async def _fail(self, tx: Tx, held: Version, reason: str) -> None:
        await end_upload(tx, held, reason, now=self._clock())


class Flow:
    """Keeps an upload alive by its bytes, and its reservation as large as they are."""

    def __init__(self, uploads: Uploads, upload: Version) -> None:
        self._uploads = uploads
        self._upload = upload
        self._reserved = upload.reserved_bytes
        self._clock = asyncio.get_running_loop()
        self._renewed = self._clock.time()

    async def received(self, total: int, *, whole: bool = False) -> None:
        """Raises ``QuotaExceededError`` and ``UploadLostError``."""
        unreserved = total - self._reserved
        due = self._renewed + self._uploads.silence.total_seconds() / 4
        if unreserved > (0 if whole else _AHEAD):
            await self._renew(total)
        elif self._clock.time() >= due:
            try:
                await self._renew(self._reserved)
            except DatabaseUnavailableError:
                # The bytes flow all the same: only a long absence may cost the upload.
                _log.warning("upload.not_renewed", version_id=str(self._upload.id))

    async def _renew(self, reserved: int) -> None:
        await self._uploads.renew(self._upload, reserved)
        self._reserved = reserved
        self._renewed = self._clock.time()


async def lock_live(tx: Tx, version: Version) -> Version:
    """As it is now. What lies in the trash takes no bytes: they would be said to be pushed."""
    held = await tx.store.lock_if_there(version.id)
    if held is None or not await tx.trash.is_live(held.id):
        raise VersionNotFoundError(f"'{version.version}' was deleted meanwhile")
    return held


async def end_upload(tx: Tx, held: Version, reason: str, *, now: datetime) -> None:
    """``held`` is locked. What flows still has lost."""
    await charge(tx, held, reserved=0)
    said = reason.replace("\0", "\N{REPLACEMENT CHARACTER}")
    await tx.store.state(held.id, Upload.FAILED, reason=said, now=now)


async def charge(tx: Tx, held: Version, *, reserved: int, committed: int = 0) -> None:
    """The version's reservation becomes ``reserved``. What grows must fit in the limit."""
    more = reserved - held.reserved_bytes
    if not more and not committed:
        return
    used = await tx.store.charge(held.org_id, reserved=more, committed=committed)
    maximum = await tx.store.limit(held.org_id, STORED_BYTES)
    if more > 0 and maximum is not None and used > maximum:
        raise QuotaExceededError(more, used=used - more, maximum=maximum)


def _pushed(repository: Repository, version: Version, blob: Blob) -> BentoPushed | ModelPushed:
    facts: dict[str, Any] = {
        "repository": repository.name,
        "version": version.version,
        "digest": blob.digest,
        "size_bytes": blob.size_bytes,
    }
    if repository.kind == Kind.BENTO:
        return BentoPushed(bento_id=version.id, **facts)
    return ModelPushed(model_id=version.id, **facts)
