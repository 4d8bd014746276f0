"""Layers in the registry that builders share, by their tags, in PostgreSQL."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection

_NOTE: Final = """
INSERT INTO shared_layer (org_id, org, tag) SELECT $1, $2, unnest($3::text[])
ON CONFLICT (org_id, tag) DO UPDATE SET used_at = now(), org = excluded.org
"""
_UNUSED: Final = """
SELECT org_id, org, tag FROM shared_layer WHERE used_at < now() - $1::interval
ORDER BY used_at LIMIT $2
"""
_FORGET: Final = """
DELETE FROM shared_layer WHERE org_id = $1 AND tag = $2 AND used_at < now() - $3::interval
"""


class SharedStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def note(self, org_id: UUID, org: str, tags: Collection[str]) -> None:
        """They were used now; in order, so that two builds do not wait for each other."""
        await self._connection.execute(_NOTE, org_id, org, sorted(tags))

    async def unused(self, since: timedelta, *, most: int) -> list[tuple[UUID, str, str]]:
        """Organisation, its name, tag: those that were used last so long ago, the oldest first."""
        rows = await self._connection.fetch(_UNUSED, since, most)
        return [(row["org_id"], row["org"], row["tag"]) for row in rows]

    async def forget(self, org_id: UUID, tag: str, since: timedelta) -> None:
        await self._connection.execute(_FORGET, org_id, tag, since)
