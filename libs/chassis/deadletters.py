"""Messages that were given up, kept with their bytes, and the strikes that lead there."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Pool, acquired
from libs.contracts.types import cut

_BURY: Final = """
INSERT INTO dead_letter (consumer, message_id, event_id, subject, code, reason, attempts, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (consumer, message_id) DO UPDATE
SET code = excluded.code, reason = excluded.reason, attempts = excluded.attempts,
    buried_at = now(), resolved_at = NULL
"""
_STRIKE: Final = """
INSERT INTO delivery_strike AS s (consumer, message_id, strikes) VALUES ($1, $2, 1)
ON CONFLICT (consumer, message_id) DO UPDATE SET strikes = s.strikes + 1, updated_at = now()
RETURNING strikes
"""
_PARDON: Final = """
UPDATE delivery_strike SET strikes = strikes - 1, updated_at = now()
WHERE consumer = $1 AND message_id = $2
"""
_FORGET: Final = "DELETE FROM delivery_strike WHERE consumer = $1 AND message_id = $2"
_OPEN: Final = """
SELECT consumer, message_id, event_id, subject, code, reason, attempts, body
FROM dead_letter WHERE resolved_at IS NULL ORDER BY buried_at LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that one consumer will not see again, and why."""

    consumer: str
    message_id: str
    event_id: UUID | None
    subject: str
    code: str
    reason: str
    attempts: int
    body: bytes


class DeadLetters:
    """Every call is one committed transaction: a message is terminated only after its burial."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def bury(self, letter: DeadLetter) -> None:
        """Idempotent by consumer and message: a burial whose TERM was lost is buried again."""
        async with acquired(self._pool) as connection, connection.transaction():
            await connection.execute(
                _BURY,
                letter.consumer,
                letter.message_id,
                letter.event_id,
                letter.subject,
                letter.code,
                cut(letter.reason.replace("\0", "\N{REPLACEMENT CHARACTER}")),
                letter.attempts,
                letter.body,
            )
            await connection.execute(_FORGET, letter.consumer, letter.message_id)

    async def strike(self, consumer: str, message_id: str) -> int:
        """Count an attempt that may not end; how many there are now."""
        async with acquired(self._pool) as connection:
            return int(await connection.fetchval(_STRIKE, consumer, message_id))

    async def pardon(self, consumer: str, message_id: str) -> None:
        """The last attempt did end, in a way that may be retried without limit."""
        async with acquired(self._pool) as connection:
            await connection.execute(_PARDON, consumer, message_id)

    async def forget(self, consumer: str, message_id: str) -> None:
        """The message was handled."""
        async with acquired(self._pool) as connection:
            await connection.execute(_FORGET, consumer, message_id)

    async def unresolved(self, *, limit: int = 100) -> list[DeadLetter]:
        """Oldest first."""
        async with acquired(self._pool) as connection:
            return [DeadLetter(**dict(row)) for row in await connection.fetch(_OPEN, limit)]
