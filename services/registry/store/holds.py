"""What the deployer says must stay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection, texts

_NEEDED: Final = """
    SELECT v.id, v.digest FROM version v WHERE v.id = $2 AND v.org_id = $1
    UNION ALL
    SELECT m.id, m.digest FROM need n
    JOIN repository r ON r.org_id = $1 AND r.kind = 'model' AND r.name = n.repository
    JOIN version m ON m.repository_id = r.id AND m.version = n.version
    WHERE n.version_id = $2
"""
_LOCK: Final = """
    SELECT id FROM version WHERE id = ANY ($1::text[]::uuid[]) ORDER BY id FOR KEY SHARE
"""
_HOLD: Final = """
    INSERT INTO hold (revision_id, org_id, version_id, digest, deployment, taken_at, renewed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $6)
    ON CONFLICT (revision_id, version_id) DO UPDATE SET renewed_at = excluded.renewed_at
"""
_RELEASE: Final = "DELETE FROM hold WHERE org_id = $1 AND revision_id = $2"
_STALE: Final = """
    SELECT DISTINCT revision_id, org_id FROM hold WHERE renewed_at < $1 ORDER BY 1 LIMIT $2
"""
_RENEW: Final = "UPDATE hold SET renewed_at = $2 WHERE revision_id = $1"


class HoldRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def needed(self, org_id: UUID, bento_id: UUID) -> list[tuple[UUID, str | None]]:
        """The bento and the models that it names, with their bytes, in the trash or not.

        They stay until the end of the transaction.
        """
        rows = await self._connection.fetch(_NEEDED, org_id, bento_id)
        locked = await self._connection.fetch(_LOCK, texts(row["id"] for row in rows))
        there = {row["id"] for row in locked}
        return [(row["id"], row["digest"]) for row in rows if row["id"] in there]

    async def hold(
        self,
        revision_id: UUID,
        org_id: UUID,
        *,
        version: tuple[UUID, str | None],
        deployment: str,
        now: datetime,
    ) -> None:
        """Taken again it keeps the bytes that it pinned first."""
        await self._connection.execute(_HOLD, revision_id, org_id, *version, deployment, now)

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        await self._connection.execute(_RELEASE, org_id, revision_id)

    async def stale(self, since: datetime, *, count: int) -> Sequence[tuple[UUID, UUID]]:
        """Revisions and their organisations that nobody has spoken for since then."""
        rows = await self._connection.fetch(_STALE, since, count)
        return [(row["revision_id"], row["org_id"]) for row in rows]

    async def renew(self, revision_id: UUID, now: datetime) -> None:
        await self._connection.execute(_RENEW, revision_id, now)
