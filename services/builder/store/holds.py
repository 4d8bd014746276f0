"""Who keeps which image of this machine, in PostgreSQL."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection

_HOLD: Final = """
INSERT INTO hold (revision_id, org_id, image_digest) VALUES ($1, $2, $3)
ON CONFLICT (org_id, revision_id) DO UPDATE SET image_digest = excluded.image_digest
"""
_RELEASE: Final = "DELETE FROM hold WHERE org_id = $1 AND revision_id = $2"
_OWNED: Final = """
SELECT true FROM build WHERE org_id = $1 AND image_digest = $2 AND status = 'built' LIMIT 1
"""
_BUILT_BY: Final = """
SELECT image_digest, environment_digest FROM build WHERE org_id = $1 AND image_digest IS NOT NULL
"""
_KEPT: Final = """
SELECT image_digest, environment_digest FROM build
WHERE image_digest IS NOT NULL AND (status = 'running' OR ended_at > now() - interval '1 hour'
    OR image_digest IN (SELECT image_digest FROM hold)
    OR (org_id <> $1 AND status = 'built'))
"""
_ALONE: Final = "SELECT pg_advisory_xact_lock(7301, 1)"


class HoldStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alone(self) -> None:
        """Until the end of the transaction nobody else holds, claims or prunes."""
        await self._connection.execute(_ALONE)

    async def owned(self, org_id: UUID, digest: str) -> bool:
        return await self._connection.fetchval(_OWNED, org_id, digest) is not None

    async def hold(self, org_id: UUID, revision_id: UUID, digest: str) -> None:
        await self._connection.execute(_HOLD, revision_id, org_id, digest)

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        await self._connection.execute(_RELEASE, org_id, revision_id)

    async def built_by(self, org_id: UUID) -> set[str]:
        """Digests of images and environments of the organisation's builds."""
        return _digests(await self._connection.fetch(_BUILT_BY, org_id))

    async def kept(self, org_id: UUID) -> set[str]:
        """Those that must stay when ``org_id`` prunes: in use, or what another one has built."""
        return _digests(await self._connection.fetch(_KEPT, org_id))


def _digests(rows: Iterable[asyncpg.Record]) -> set[str]:
    return {digest for row in rows for digest in row if digest}
