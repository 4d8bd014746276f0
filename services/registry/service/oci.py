"""Blobs of images: sent whole or in pieces, mounted from beside, and removed."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.blobs import Blob, BlobStore
from libs.chassis.postgres import Database
from libs.contracts.oci import OciCode
from services.registry.domain import OciUpload, Place
from services.registry.errors import (
    OciRangeError,
    OciRefusedError,
    OciUnknownError,
    QuotaExceededError,
    UploadBusyError,
)
from services.registry.service.tx import Tx
from services.registry.service.uploads import STORED_BYTES

_KEPT: Final = "sha256:"
_TOUCHES: Final = 24
"""So often at most it is noted, in the time that a blob stays, that somebody asked for it."""
FORGOTTEN_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an upload. ``first`` and ``size`` are None where the client did not say."""

    chunks: AsyncIterator[bytes]
    first: int | None = None
    size: int | None = None


class OciBlobs:
    """An organisation has a blob where a repository of its own links it, and nowhere else.

    One that no manifest needs stays for ``stay`` after somebody asked for it. Each piece of an
    upload lies in the store by itself, so that it goes on wherever and whenever; mostly there is
    one, and that is the blob.
    """

    def __init__(
        self,
        database: Database[Tx],
        store: BlobStore,
        *,
        stay: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._stay = stay
        self._clock = clock
        self._sending: set[UUID] = set()

    async def find(self, place: Place, digest: str) -> Blob:
        """Whoever asks may name it in a manifest soon: it stays for a while."""
        async with self._database.transaction() as tx:
            blob = await tx.oci.blob(place, await tx.oci.kept_as(place.org_id, digest))
            if blob is None:
                raise OciUnknownError(OciCode.BLOB_UNKNOWN, f"{place.repository} has no {digest}")
            now = self._clock()
            await tx.oci.touch(place, blob.digest, now=now, since=now - self._stay / _TOUCHES)
        return blob

    async def mount(self, place: Place, digest: str, *, source: str | None) -> bool:
        """Have a blob of another repository (None: any) of the organisation here as well."""
        async with self._database.transaction() as tx:
            kept = await tx.oci.kept_as(place.org_id, digest)
            blob = await tx.oci.mountable(place.org_id, kept, source=source)
            if blob is not None:
                await self._link(tx, place, blob)
            return blob is not None

    async def remove(self, place: Place, digest: str) -> None:
        async with self._database.transaction() as tx:
            kept = await tx.oci.kept_as(place.org_id, digest)
            if not await self._unlink(tx, place, kept):
                raise OciUnknownError(OciCode.BLOB_UNKNOWN, f"{place.repository} has no {digest}")

    async def begin(self, place: Place) -> OciUpload:
        upload = OciUpload(uuid7(), 0)
        async with self._database.transaction() as tx:
            await tx.oci.begin(place, upload.id, self._clock())
        return upload

    async def status(self, place: Place, upload_id: UUID) -> OciUpload:
        async with self._database.read() as tx:
            upload = await tx.oci.upload(place, upload_id)
        if upload is None:
            raise OciUnknownError(OciCode.BLOB_UPLOAD_UNKNOWN, f"there is no upload {upload_id}")
        return upload

    async def append(self, place: Place, upload_id: UUID, piece: Piece) -> OciUpload:
        """All of the piece or nothing of it: one that breaks off is sent again."""
        with self._alone(upload_id):
            return await self._append(place, upload_id, piece)

    async def finish(self, place: Place, upload_id: UUID, piece: Piece, *, digest: str) -> None:
        """The upload is over, also when its bytes are others than ``digest`` says."""
        with self._alone(upload_id):
            await self._append(place, upload_id, piece)
            async with self._database.read() as tx:
                pieces = await tx.oci.pieces(upload_id)
            blob = await self._joined(pieces)
            right = await self._is(blob, digest)
            async with self._database.transaction() as tx:
                await tx.oci.end(upload_id)
                kept = await self._keep(tx, place, blob, digest=digest) if right else None
        for each in {*(one.location for one in pieces), blob.location} - {kept}:
            await self._store.remove(each)
        if not right:
            raise OciRefusedError(OciCode.DIGEST_INVALID, f"the bytes are not those of {digest}")

    async def cancel(self, place: Place, upload_id: UUID) -> None:
        await self.status(place, upload_id)
        with self._alone(upload_id):
            await self._end(upload_id)

    async def forget_silent(self) -> None:
        """Uploads without bytes for a day."""
        since = self._clock() - FORGOTTEN_AFTER
        while True:
            async with self._database.transaction() as tx:
                silent = await tx.oci.lock_silent(since)
            if silent is None:
                return
            await self._end(silent)

    async def let_go(self) -> None:
        """Links to blobs that no manifest needs, and that nobody has asked for in a while."""
        since = self._clock() - self._stay
        async with self._database.read() as tx:
            places = await tx.oci.loose_places(since)
        for place in places:
            async with self._database.transaction() as tx:
                await tx.manifests.alone(place)
                for digest in await tx.oci.loose(place, since):
                    await self._unlink(tx, place, digest, since=since)

    @contextmanager
    def _alone(self, upload_id: UUID) -> Iterator[None]:
        """Refuses early what the database would refuse at its end."""
        if upload_id in self._sending:
            raise UploadBusyError("another request is sending bytes to this upload")
        self._sending.add(upload_id)
        try:
            yield
        finally:
            self._sending.discard(upload_id)

    async def _append(self, place: Place, upload_id: UUID, piece: Piece) -> OciUpload:
        upload = await self.status(place, upload_id)
        if piece.first not in {None, upload.offset_bytes}:
            raise OciRangeError(
                f"the next byte is {upload.offset_bytes}, not {piece.first}",
                received=upload.offset_bytes,
            )
        self._store.require(piece.size or 0)
        async with self._database.transaction() as tx:
            await require_room(tx, place, upload.offset_bytes + (piece.size or 0))
        received = await self._receive(piece)
        if received is None:
            return upload
        async with self._database.transaction() as tx:
            await require_room(tx, place, upload.offset_bytes + received.size_bytes)
            added = await tx.oci.add_piece(upload, received, self._clock())
        if not added:
            await self._store.remove(received.location)
            raise UploadBusyError("another request sent bytes to this upload, or ended it")
        return OciUpload(upload.id, upload.offset_bytes + received.size_bytes)

    async def _receive(self, piece: Piece) -> Blob | None:
        """None where there was not one byte."""
        written = 0
        # Whoever pushes an image has somebody pull it next.
        async with self._store.receive(size=piece.size, hot=True) as receiving:
            async for chunk in piece.chunks:
                await receiving.write(chunk)
                written += len(chunk)
            if piece.size not in {None, written}:
                raise OciRefusedError(
                    OciCode.SIZE_INVALID, f"{piece.size} bytes were announced, {written} came"
                )
            return await receiving.commit() if written else None

    async def _joined(self, pieces: Sequence[Blob]) -> Blob:
        if len(pieces) == 1:
            return pieces[0]
        async with self._store.receive(size=sum(each.size_bytes for each in pieces)) as receiving:
            for each in pieces:
                async with aclosing(self._store.read(each)) as chunks:
                    async for chunk in chunks:
                        await receiving.write(chunk)
            return await receiving.commit()

    async def _is(self, blob: Blob, digest: str) -> bool:
        if digest.startswith(_KEPT):
            return blob.digest == digest
        asked = hashlib.new(digest.partition(":")[0])
        async with aclosing(self._store.read(blob)) as chunks:
            async for chunk in chunks:
                asked.update(chunk)
        return digest == f"{asked.name}:{asked.hexdigest()}"

    async def _keep(self, tx: Tx, place: Place, blob: Blob, *, digest: str) -> str:
        """Where the bytes lie from now on."""
        kept = await tx.blobs.keep(blob, now=self._clock())
        await self._link(tx, place, blob)
        if blob.digest != digest:
            await tx.oci.also_known(place.org_id, digest, blob.digest)
        return kept

    async def _end(self, upload_id: UUID) -> None:
        async with self._database.transaction() as tx:
            pieces = await tx.oci.pieces(upload_id)
            ended = await tx.oci.end(upload_id)
        for each in pieces if ended else ():
            await self._store.remove(each.location)

    async def _link(self, tx: Tx, place: Place, blob: Blob) -> None:
        """An organisation pays once for a blob, in however many repositories it is."""
        if not await tx.oci.has(place.org_id, blob.digest):
            await require_room(tx, place, blob.size_bytes)
            await tx.store.charge(place.org_id, reserved=0, committed=blob.size_bytes)
        await tx.oci.link(place, blob.digest, self._clock())

    async def _unlink(
        self, tx: Tx, place: Place, digest: str, *, since: datetime | None = None
    ) -> bool:
        size = await tx.blobs.size_of(digest)
        await tx.oci.has(place.org_id, digest)
        if not await tx.oci.unlink(place, digest, since=since):
            return False
        if not await tx.oci.has(place.org_id, digest):
            await tx.store.charge(place.org_id, reserved=0, committed=-size)
            await tx.trash.release(digest, org_id=place.org_id, now=self._clock())
        return True


async def require_room(tx: Tx, place: Place, size: int) -> None:
    """Others of the organisation wait until the commit, as for a charge."""
    used = await tx.store.charge(place.org_id, reserved=0, committed=0)
    maximum = await tx.store.limit(place.org_id, STORED_BYTES)
    if maximum is not None and used + size > maximum:
        raise QuotaExceededError(size, used=used, maximum=maximum)
