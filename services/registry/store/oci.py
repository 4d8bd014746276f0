"""Images: which organisation has which blobs in which repository, and what is being sent."""

from datetime import datetime
from typing import Final
from uuid import UUID

from libs.chassis.blobs import Blob
from libs.chassis.postgres import Connection
from services.registry.domain import OciUpload, Place

_BEGIN: Final = "INSERT INTO oci_upload (id, org_id, repository, alive_at) VALUES ($1, $2, $3, $4)"
_UPLOAD: Final = """
    SELECT id, offset_bytes FROM oci_upload WHERE org_id = $1 AND repository = $2 AND id = $3
"""
_RECORD: Final = "UPDATE oci_upload SET offset_bytes = $2, alive_at = $3 WHERE id = $1"
_END: Final = "DELETE FROM oci_upload WHERE id = $1"
_FORGET: Final = "DELETE FROM oci_upload WHERE alive_at <= $1 RETURNING id"
_UPLOADS: Final = "SELECT id FROM oci_upload"
_BLOB: Final = """
    SELECT digest, size_bytes, chunks FROM oci_blob JOIN blob USING (digest)
    WHERE org_id = $1 AND repository = $2 AND digest = $3
"""
_MOUNTABLE: Final = """
    SELECT digest, size_bytes, chunks FROM oci_blob JOIN blob USING (digest)
    WHERE org_id = $1 AND digest = $2 AND ($3::text IS NULL OR repository = $3)
    LIMIT 1
"""
_KEPT_AS: Final = "SELECT blob FROM oci_digest WHERE org_id = $1 AND digest = $2"
_ALSO_KNOWN: Final = "INSERT INTO oci_digest VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_ADD_BLOB: Final = """
    INSERT INTO blob (digest, size_bytes, chunks) VALUES ($1, $2, $3)
    ON CONFLICT (digest) DO NOTHING
"""
_HAS: Final = "SELECT EXISTS (SELECT FROM oci_blob WHERE org_id = $1 AND digest = $2)"
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 8))"
_LINK: Final = "INSERT INTO oci_blob VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_UNLINK: Final = """
    DELETE FROM oci_blob WHERE org_id = $1 AND repository = $2 AND digest = $3 RETURNING digest
"""


class OciStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, place: Place, upload_id: UUID, now: datetime) -> None:
        await self._connection.execute(_BEGIN, upload_id, place.org_id, place.repository, now)

    async def upload(self, place: Place, upload_id: UUID) -> OciUpload | None:
        row = await self._connection.fetchrow(_UPLOAD, place.org_id, place.repository, upload_id)
        return OciUpload(**row) if row else None

    async def record(self, upload_id: UUID, received: int, now: datetime) -> None:
        await self._connection.execute(_RECORD, upload_id, received, now)

    async def end(self, upload_id: UUID) -> None:
        await self._connection.execute(_END, upload_id)

    async def forget_silent(self, since: datetime) -> None:
        await self._connection.execute(_FORGET, since)

    async def uploads(self) -> set[UUID]:
        """Of all organisations."""
        return {row["id"] for row in await self._connection.fetch(_UPLOADS)}

    async def blob(self, place: Place, digest: str) -> Blob | None:
        row = await self._connection.fetchrow(_BLOB, place.org_id, place.repository, digest)
        return Blob(**row) if row else None

    async def mountable(self, org_id: UUID, digest: str, *, source: str | None) -> Blob | None:
        """From the repository ``source``, or from any of the organisation's."""
        row = await self._connection.fetchrow(_MOUNTABLE, org_id, digest, source)
        return Blob(**row) if row else None

    async def kept_as(self, org_id: UUID, digest: str) -> str:
        """By which name the organisation's blob is kept: its own one, unless another is known."""
        return str(await self._connection.fetchval(_KEPT_AS, org_id, digest) or digest)

    async def also_known(self, org_id: UUID, digest: str, kept_as: str) -> None:
        await self._connection.execute(_ALSO_KNOWN, org_id, digest, kept_as)

    async def add_blob(self, blob: Blob) -> None:
        """Known to nobody yet."""
        await self._connection.execute(_ADD_BLOB, blob.digest, blob.size_bytes, blob.chunks)

    async def has(self, org_id: UUID, digest: str) -> bool:
        """In any repository. Until the end of the transaction nobody else changes the answer."""
        await self._connection.execute(_ALONE, f"{org_id} {digest}")
        return bool(await self._connection.fetchval(_HAS, org_id, digest))

    async def link(self, place: Place, digest: str) -> None:
        await self._connection.execute(_LINK, place.org_id, place.repository, digest)

    async def unlink(self, place: Place, digest: str) -> bool:
        """False when there was nothing to remove."""
        found = await self._connection.fetchval(_UNLINK, place.org_id, place.repository, digest)
        return found is not None
