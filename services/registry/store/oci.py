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
_ADVANCE: Final = """
    UPDATE oci_upload SET offset_bytes = offset_bytes + $3, alive_at = $4
    WHERE id = $1 AND offset_bytes = $2 RETURNING id
"""
_ADD_PIECE: Final = """
    INSERT INTO oci_piece (upload_id, first, digest, size_bytes, chunks, location)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_PIECES: Final = """
    SELECT digest, size_bytes, chunks, location FROM oci_piece WHERE upload_id = $1 ORDER BY first
"""
_END: Final = "DELETE FROM oci_upload WHERE id = $1 RETURNING id"
_SILENT: Final = """
    SELECT id FROM oci_upload WHERE alive_at <= $1 LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_BLOB: Final = """
    SELECT digest, size_bytes, chunks, place AS location FROM oci_blob JOIN blob USING (digest)
    WHERE org_id = $1 AND repository = $2 AND digest = $3 AND state <> 'damaged'
    FOR KEY SHARE OF oci_blob
"""
_TOUCH: Final = """
    UPDATE oci_blob SET touched_at = $4
    WHERE org_id = $1 AND repository = $2 AND digest = $3 AND touched_at < $5
"""
_MOUNTABLE: Final = """
    SELECT digest, size_bytes, chunks, place AS location FROM oci_blob JOIN blob USING (digest)
    WHERE org_id = $1 AND digest = $2 AND ($3::text IS NULL OR repository = $3)
      AND state <> 'damaged'
    LIMIT 1 FOR KEY SHARE OF blob
"""
_KEPT_AS: Final = "SELECT blob FROM oci_digest WHERE org_id = $1 AND digest = $2"
_ALSO_KNOWN: Final = "INSERT INTO oci_digest VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_HAS: Final = "SELECT EXISTS (SELECT FROM oci_blob WHERE org_id = $1 AND digest = $2)"
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 8))"
_LINK: Final = """
    INSERT INTO oci_blob VALUES ($1, $2, $3, $4)
    ON CONFLICT (org_id, repository, digest) DO UPDATE SET touched_at = excluded.touched_at
"""
_UNLINK_LOOSE: Final = """
    DELETE FROM oci_blob
    WHERE org_id = $1 AND repository = $2 AND digest = $3 AND touched_at <= $4 RETURNING digest
"""
_LOOSE: Final = """
    SELECT l.digest FROM oci_blob l
    WHERE l.org_id = $1 AND l.repository = $2 AND l.touched_at <= $3
      AND NOT EXISTS (SELECT FROM oci_edge e WHERE e.org_id = $1 AND e.repository = $2
                      AND e.blob = l.digest)
    ORDER BY l.digest
"""
_LOOSE_PLACES: Final = """
    SELECT DISTINCT l.org_id, l.repository FROM oci_blob l
    WHERE l.touched_at <= $1
      AND NOT EXISTS (SELECT FROM oci_edge e WHERE e.org_id = l.org_id
                      AND e.repository = l.repository AND e.blob = l.digest)
"""
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

    async def add_piece(self, upload: OciUpload, piece: Blob, now: datetime) -> bool:
        """False where another piece, or the end, came first."""
        moved = await self._connection.fetchval(
            _ADVANCE, upload.id, upload.offset_bytes, piece.size_bytes, now
        )
        if moved is not None:
            await self._connection.execute(
                _ADD_PIECE,
                upload.id,
                upload.offset_bytes,
                piece.digest,
                piece.size_bytes,
                piece.chunks,
                piece.location,
            )
        return moved is not None

    async def pieces(self, upload_id: UUID) -> list[Blob]:
        """In their order."""
        return [Blob(**row) for row in await self._connection.fetch(_PIECES, upload_id)]

    async def end(self, upload_id: UUID) -> bool:
        """With its pieces; their bytes are the caller's. False where it was over."""
        return await self._connection.fetchval(_END, upload_id) is not None

    async def lock_silent(self, since: datetime) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(_SILENT, since)
        return found

    async def blob(self, place: Place, digest: str) -> Blob | None:
        row = await self._connection.fetchrow(_BLOB, place.org_id, place.repository, digest)
        return Blob(**row) if row else None

    async def touch(self, place: Place, digest: str, *, now: datetime, since: datetime) -> None:
        """Somebody counts on it: it is not loose for a while. Written at most once ``since``."""
        await self._connection.execute(_TOUCH, place.org_id, place.repository, digest, now, since)

    async def loose_places(self, since: datetime) -> list[Place]:
        """Repositories with blobs that no manifest needs, and nobody has asked for since then."""
        rows = await self._connection.fetch(_LOOSE_PLACES, since)
        return [Place(**row) for row in rows]

    async def loose(self, place: Place, since: datetime) -> list[str]:
        rows = await self._connection.fetch(_LOOSE, place.org_id, place.repository, since)
        return [row["digest"] for row in rows]

    async def mountable(self, org_id: UUID, digest: str, *, source: str | None) -> Blob | None:
        """From the repository ``source``, or from any of the organisation's."""
        row = await self._connection.fetchrow(_MOUNTABLE, org_id, digest, source)
        return Blob(**row) if row else None

    async def kept_as(self, org_id: UUID, digest: str) -> str:
        """By which name the organisation's blob is kept: its own one, unless another is known."""
        return str(await self._connection.fetchval(_KEPT_AS, org_id, digest) or digest)

    async def also_known(self, org_id: UUID, digest: str, kept_as: str) -> None:
        await self._connection.execute(_ALSO_KNOWN, org_id, digest, kept_as)

    async def has(self, org_id: UUID, digest: str) -> bool:
        """In any repository. Until the end of the transaction nobody else changes the answer."""
        await self._connection.execute(_ALONE, f"{org_id} {digest}")
        return bool(await self._connection.fetchval(_HAS, org_id, digest))

    async def link(self, place: Place, digest: str, now: datetime) -> None:
        await self._connection.execute(_LINK, place.org_id, place.repository, digest, now)

    async def unlink(self, place: Place, digest: str, *, since: datetime | None = None) -> bool:
        """False when there was nothing to remove, or somebody has asked for it after ``since``."""
        key = (place.org_id, place.repository, digest)
        if since is None:
            return await self._connection.fetchval(_UNLINK, *key) is not None
        return await self._connection.fetchval(_UNLINK_LOOSE, *key, since) is not None
