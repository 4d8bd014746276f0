"""What can be made again and was not needed for long, in PostgreSQL. No organisation is all."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection, texts

_TABLES: Final = (
    "layer_cache",
    "layer_contents",
    "bento_description",
    "pinned_lock",
    "image",
)
_FORGET: Final = """
WITH gone AS (
    DELETE FROM {} WHERE ($1::uuid IS NULL OR org_id = $1) AND used_at < now() - $2::interval
    RETURNING 1
) SELECT count(*) FROM gone
"""
_LONG_ENDED: Final = """
SELECT id FROM build WHERE id = ANY ($1::text[]::uuid[]) AND ($2::uuid IS NULL OR org_id = $2)
    AND ended_at < now() - $3::interval
"""
_UNDER_WAY: Final = """
SELECT id FROM build WHERE id = ANY ($1::text[]::uuid[]) AND status = 'running'
"""


class UpkeepStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def forget(self, org_id: UUID | None, unused: timedelta) -> int:
        """How many were not needed for so long. They are made again when they are."""
        counts = [
            await self._connection.fetchval(_FORGET.format(table), org_id, unused)
            for table in _TABLES
        ]
        return sum(int(each) for each in counts)

    async def long_ended(
        self, builds: Collection[UUID], org_id: UUID | None, since: timedelta
    ) -> set[UUID]:
        rows = await self._connection.fetch(_LONG_ENDED, texts(builds), org_id, since)
        return {row["id"] for row in rows}

    async def under_way(self, builds: Collection[UUID]) -> set[UUID]:
        return {row["id"] for row in await self._connection.fetch(_UNDER_WAY, texts(builds))}
