"""Weekly partitions of outbox and inbox: made ahead of time, dropped when nobody needs them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Connection, DirectConnection, Pool, acquired

log = structlog.get_logger(__name__)

WEEKS_AHEAD: Final = 4
EVERY: Final = timedelta(hours=6)
KEEP: Final = timedelta(days=35)
"""More than twice a stream's ``MAX_AGE``: a fact that is refilled just in time lives that long
on the bus, and has to be there to be refilled, and known to those who have heard it."""

_ENSURE: Final = "SELECT ensure_partitions($1, $2)"
_PAST: Final = "SELECT part, settled FROM past_weeks($1)"
_DROP: Final = "SELECT drop_week($1)"


async def ensure_partitions(
    connection: Connection | DirectConnection,
    *,
    now: datetime | None = None,
) -> None:
    """Idempotent. Rows that found no partition move into theirs when it is made."""
    await connection.execute(_ENSURE, now or datetime.now(UTC), WEEKS_AHEAD)


async def drop_past_partitions(
    connection: Connection | DirectConnection,
    *,
    now: datetime | None = None,
) -> list[str]:
    """Drop the weeks that ended ``KEEP`` ago, but none with a fact that the log may not have."""
    past = await connection.fetch(_PAST, (now or datetime.now(UTC)) - KEEP)
    kept = [each["part"] for each in past if not each["settled"]]
    if kept:
        log.warning("partitions.kept", partitions=kept, reason="not all of it is in the log")
    dropped = [each["part"] for each in past if each["settled"]]
    for part in dropped:
        await connection.execute(_DROP, part)
        log.info("partition.dropped", partition=part)
    return dropped


async def keep_partitions(pool: Pool, *, every: timedelta = EVERY) -> None:
    """The loop of a service that runs for longer than ``WEEKS_AHEAD``. Never returns."""
    while True:
        try:
            async with acquired(pool) as connection:
                await ensure_partitions(connection)
                await drop_past_partitions(connection)
        except ServiceError as error:
            log.warning("partitions.deferred", code=error.code)
        await asyncio.sleep(every.total_seconds())
