"""Blobs of images: sent whole or in pieces, mounted from beside, and removed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.blobs import Blob, FileBlobs
from libs.chassis.postgres import Database
from libs.chassis.staging import Staged, Staging
from libs.contracts.oci import OciCode
from services.registry.domain import OciUpload, Place
from services.registry.errors import (
    OciRangeError,
    OciRefusedError,
    OciUnknownError,
    QuotaExceededError,
)
from services.registry.service.tx import Tx
from services.registry.service.uploads import STORED_BYTES

_KEPT: Final = "sha256:"
FORGOTTEN_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an upload. ``first`` and ``size`` are None where the client did not say."""

    chunks: AsyncIterator[bytes]
    first: int | None = None
    size: int | None = None


class OciBlobs:
    """An organisation has a blob where a repository of its own links it, and nowhere else."""

    def __init__(
        self,
        database: Database[Tx],
        blobs: FileBlobs,
        staging: Staging,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._staging = staging
        self._clock = clock

    async def find(self, place: Place, digest: str) -> Blob:
        async with self._database.read() as tx:
            blob = await tx.oci.blob(place, await tx.oci.kept_as(place.org_id, digest))
        if blob is None:
            raise OciUnknownError(OciCode.BLOB_UNKNOWN, f"{place.repository} has no {digest}")
        return blob

    async def mount(self, place: Place, digest: str, *, source: str | None) -> bool:
        """Have a blob of another repository (None: any) of the organisation here as well."""
        async with self._database.transaction() as tx:
            kept = await tx.oci.kept_as(place.org_id, digest)
            blob = await tx.oci.mountable(place.org_id, kept, source=source)
            if blob is not None:
                await _link(tx, place, blob)
            return blob is not None

    async def remove(self, place: Place, digest: str) -> None:
        async with self._database.transaction() as tx:
            kept = await tx.oci.kept_as(place.org_id, digest)
            size = await tx.store.size_of(kept)
            await tx.oci.has(place.org_id, kept)
            if not await tx.oci.unlink(place, kept):
                raise OciUnknownError(OciCode.BLOB_UNKNOWN, f"{place.repository} has no {digest}")
            if not await tx.oci.has(place.org_id, kept):
                await tx.store.charge(place.org_id, reserved=0, committed=-size)

    async def begin(self, place: Place) -> OciUpload:
        upload = OciUpload(uuid7(), 0)
        self._staging.create(str(upload.id))
        async with self._database.transaction() as tx:
            await tx.oci.begin(place, upload.id, self._clock())
        return upload

    async def status(self, place: Place, upload_id: UUID) -> OciUpload:
        async with self._database.read() as tx:
            upload = await tx.oci.upload(place, upload_id)
        if upload is None:
            raise _unknown(upload_id)
        return upload

    async def append(self, place: Place, upload_id: UUID, piece: Piece) -> OciUpload:
        """All of the piece or nothing of it: one that breaks off is sent again."""
        async with self._alone(place, upload_id) as (staged, upload):
            return await self._append(staged, upload, piece, place=place)

    async def finish(self, place: Place, upload_id: UUID, piece: Piece, *, digest: str) -> None:
        """The upload is over, also when its bytes are others than ``digest`` says."""
        async with self._alone(place, upload_id) as (staged, upload):
            await self._append(staged, upload, piece, place=place)
            kept = digest if digest.startswith(_KEPT) else await staged.kept_as(digest)
            blob = await self._blobs.adopt(staged.path, kept) if kept is not None else None
            async with self._database.transaction() as tx:
                await tx.oci.end(upload_id)
                if blob is not None:
                    await tx.oci.add_blob(blob)
                    await _link(tx, place, blob)
                    if blob.digest != digest:
                        await tx.oci.also_known(place.org_id, digest, blob.digest)
            self._staging.remove(str(upload_id))
        if blob is None:
            raise OciRefusedError(OciCode.DIGEST_INVALID, f"the bytes are not those of {digest}")

    async def cancel(self, place: Place, upload_id: UUID) -> None:
        async with self._alone(place, upload_id):
            async with self._database.transaction() as tx:
                await tx.oci.end(upload_id)
            self._staging.remove(str(upload_id))

    async def forget_silent(self) -> None:
        """Uploads without bytes for a day, and files of which nobody knows any more."""
        names = await asyncio.to_thread(self._staging.names)
        async with self._database.transaction() as tx:
            await tx.oci.forget_silent(self._clock() - FORGOTTEN_AFTER)
            known = {str(each) for each in await tx.oci.uploads()}
        for name in names:
            # Begun in this moment: its row may follow. uuid7 begins with the time.
            if name not in known and _made_at(name) < self._clock() - FORGOTTEN_AFTER:
                self._staging.remove(name)

    @asynccontextmanager
    async def _alone(
        self, place: Place, upload_id: UUID
    ) -> AsyncIterator[tuple[Staged, OciUpload]]:
        """What is recorded is read under the lock: it cannot be older than the file."""
        await self.status(place, upload_id)
        try:
            async with self._staging.alone(str(upload_id)) as staged:
                upload = await self.status(place, upload_id)
                staged.cut(upload.offset_bytes)
                yield staged, upload
        except FileNotFoundError as error:
            raise _unknown(upload_id) from error

    async def _append(
        self, staged: Staged, upload: OciUpload, piece: Piece, *, place: Place
    ) -> OciUpload:
        if piece.first not in {None, upload.offset_bytes}:
            raise OciRangeError(
                f"the next byte is {upload.offset_bytes}, not {piece.first}",
                received=upload.offset_bytes,
            )
        self._blobs.require(piece.size or 0)
        async with self._database.transaction() as tx:
            await require_room(tx, place, upload.offset_bytes + (piece.size or 0))
        written = await staged.append(piece.chunks)
        if piece.size not in {None, written}:
            raise OciRefusedError(
                OciCode.SIZE_INVALID, f"{piece.size} bytes were announced, {written} came"
            )
        received = OciUpload(upload.id, upload.offset_bytes + written)
        async with self._database.transaction() as tx:
            await require_room(tx, place, received.offset_bytes)
            await tx.oci.record(upload.id, received.offset_bytes, self._clock())
        return received


async def _link(tx: Tx, place: Place, blob: Blob) -> None:
    """An organisation pays once for a blob, in however many repositories it is."""
    if not await tx.oci.has(place.org_id, blob.digest):
        await require_room(tx, place, blob.size_bytes)
        await tx.store.charge(place.org_id, reserved=0, committed=blob.size_bytes)
    await tx.oci.link(place, blob.digest)


async def require_room(tx: Tx, place: Place, size: int) -> None:
    """Others of the organisation wait until the commit, as for a charge."""
    used = await tx.store.charge(place.org_id, reserved=0, committed=0)
    maximum = await tx.store.limit(place.org_id, STORED_BYTES)
    if maximum is not None and used + size > maximum:
        raise QuotaExceededError(size, used=used, maximum=maximum)


def _made_at(name: str) -> datetime:
    return datetime.fromtimestamp((UUID(name).int >> 80) / 1000, UTC)


def _unknown(upload_id: UUID) -> OciUnknownError:
    return OciUnknownError(OciCode.BLOB_UPLOAD_UNKNOWN, f"there is no upload {upload_id}")
