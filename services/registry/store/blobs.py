"""What is known of bytes: where they lie, whether they are right, who points to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.chassis.blobs import Blob
from libs.chassis.postgres import Connection

_KEEP: Final = """
    INSERT INTO blob AS b (digest, size_bytes, chunks, location, verified_at, state_at)
    VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (digest) DO UPDATE SET
        location = CASE WHEN b.state = 'damaged' THEN excluded.location ELSE b.location END,
        verified_at = CASE WHEN b.state = 'damaged' THEN $5 ELSE b.verified_at END,
        state = 'stored', state_at = $5, released_at = NULL, released_org = NULL
    RETURNING place
"""
_OF_ORG: Final = """
    SELECT digest, size_bytes, chunks, place, state FROM blob
    WHERE digest = $2 AND (EXISTS (SELECT FROM version WHERE org_id = $1 AND digest = $2)
                          OR EXISTS (SELECT FROM hold WHERE org_id = $1 AND digest = $2)
                          OR EXISTS (SELECT FROM oci_blob WHERE org_id = $1 AND digest = $2))
"""
_SIZE: Final = "SELECT size_bytes FROM blob WHERE digest = $1"
_OLDEST: Final = """
    SELECT digest, size_bytes, chunks, place, verified_at FROM blob
    WHERE state = 'stored' ORDER BY verified_at LIMIT 1
"""
_VERIFIED: Final = "UPDATE blob SET verified_at = $2 WHERE digest = $1 AND state = 'stored'"
_DAMAGED: Final = """
    UPDATE blob SET state = 'damaged', state_at = $3
    WHERE digest = $1 AND place = $2 AND state <> 'damaged' RETURNING digest
"""
_FAIL_VERSIONS: Final = """
    UPDATE version v SET upload_status = 'failed', upload_reason = $2, seq = v.seq + 1,
        updated_at = $3
    FROM repository r
    WHERE v.digest = $1 AND v.upload_status = 'success' AND r.id = v.repository_id
    RETURNING v.id, v.org_id, v.version, v.seq, r.kind, r.name AS repository
"""


@dataclass(frozen=True, slots=True)
class Affected:
    """A version whose bytes turned out to be wrong."""

    id: UUID
    org_id: UUID
    kind: str
    repository: str
    version: str
    seq: int


class BlobRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, blob: Blob, *, now: datetime) -> str:
        """Where these bytes lie from now on: at ``blob.location`` unless they were here already.

        Bytes about to be deleted stay; damaged ones are replaced.
        """
        return str(
            await self._connection.fetchval(
                _KEEP, blob.digest, blob.size_bytes, blob.chunks, blob.location, now
            )
        )

    async def of_org(self, org_id: UUID, digest: str) -> tuple[Blob, str] | None:
        """With its state; only where a version of the organisation has it."""
        row = await self._connection.fetchrow(_OF_ORG, org_id, digest)
        return (blob_of(row), row["state"]) if row else None

    async def size_of(self, digest: str | None) -> int:
        """Zero where there is no blob."""
        return int(await self._connection.fetchval(_SIZE, digest) or 0)

    async def oldest(self) -> tuple[Blob, datetime] | None:
        """The one that was verified longest ago, and when."""
        row = await self._connection.fetchrow(_OLDEST)
        return (blob_of(row), row["verified_at"]) if row else None

    async def verified(self, digest: str, now: datetime) -> None:
        await self._connection.execute(_VERIFIED, digest, now)

    async def damaged(self, blob: Blob, *, now: datetime) -> bool:
        """False where that was known, or other bytes have taken the place of these."""
        found = await self._connection.fetchval(_DAMAGED, blob.digest, blob.location, now)
        return found is not None

    async def fail_versions(self, digest: str, reason: str, now: datetime) -> Sequence[Affected]:
        rows = await self._connection.fetch(_FAIL_VERSIONS, digest, reason, now)
        return [Affected(**row) for row in rows]


def blob_of(row: Any) -> Blob:
    return Blob(row["digest"], row["size_bytes"], row["chunks"], row["place"])
