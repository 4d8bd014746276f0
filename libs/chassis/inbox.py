"""Claim an event once per consumer, in the transaction of its effect."""

from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection

_CLAIM: Final = """
INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING true
"""


class Inbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, consumer: str, event_id: UUID) -> bool:
        """True for the first transaction that commits the claim, False ever after.

        A second claimer waits for the first one's outcome.
        """
        return await self._connection.fetchval(_CLAIM, consumer, event_id) is not None
