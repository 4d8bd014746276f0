"""What organisations want of the builder, in PostgreSQL."""

from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.builder.domain import Preferences

_GET: Final = "SELECT org, build_on_push FROM org_setting WHERE org_id = $1"
_PUT: Final = """
INSERT INTO org_setting (org_id, org, build_on_push) VALUES ($1, $2, $3)
ON CONFLICT (org_id) DO UPDATE SET org = excluded.org, build_on_push = excluded.build_on_push
"""


class PreferenceStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, org_id: UUID) -> tuple[str, Preferences] | None:
        """The organisation's name, and what it wants; None if it never said."""
        row = await self._connection.fetchrow(_GET, org_id)
        return None if row is None else (row["org"], Preferences(row["build_on_push"]))

    async def put(self, org_id: UUID, org: str, wanted: Preferences) -> None:
        await self._connection.execute(_PUT, org_id, org, wanted.build_on_push)
