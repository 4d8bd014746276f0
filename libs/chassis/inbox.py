"""Claim an event once per consumer, in the transaction of its effect."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection, texts

_CLAIM: Final = """
INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING true
"""


_CLAIM_ALL: Final = """
INSERT INTO inbox (consumer, event_id)
SELECT $1, id FROM unnest($2::text[]::uuid[]) AS id ORDER BY id
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING event_id
"""


class Inbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, consumer: str, event_id: UUID) -> bool:
        """True for the first transaction that commits the claim, False ever after.

        A second claimer waits for the first one's outcome.
        """
        return await self._connection.fetchval(_CLAIM, consumer, event_id) is not None

    async def claim_all(self, consumer: str, event_ids: Collection[UUID]) -> set[UUID]:
        """Those of the ids that nobody had claimed."""
        rows = await self._connection.fetch(_CLAIM_ALL, consumer, texts(event_ids))
        return {row["event_id"] for row in rows}
