"""Weekly partitions of outbox and inbox, made ahead of time so that the default stays empty."""

from datetime import UTC, datetime
from typing import Final

from libs.chassis.postgres import Connection, DirectConnection

WEEKS_AHEAD: Final = 4

_ENSURE: Final = "SELECT ensure_partitions($1, $2)"


async def ensure_partitions(
    connection: Connection | DirectConnection,
    *,
    now: datetime | None = None,
) -> None:
    """Idempotent. Rows that found no partition move into theirs when it is made."""
    await connection.execute(_ENSURE, now or datetime.now(UTC), WEEKS_AHEAD)
