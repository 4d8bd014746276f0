"""Weekly partitions of outbox and inbox, made ahead of time so that the default stays empty."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Connection, DirectConnection, Pool, acquired

log = structlog.get_logger(__name__)

WEEKS_AHEAD: Final = 4
EVERY: Final = timedelta(hours=6)

_ENSURE: Final = "SELECT ensure_partitions($1, $2)"


async def ensure_partitions(
    connection: Connection | DirectConnection,
    *,
    now: datetime | None = None,
) -> None:
    """Idempotent. Rows that found no partition move into theirs when it is made."""
    await connection.execute(_ENSURE, now or datetime.now(UTC), WEEKS_AHEAD)


async def keep_partitions(pool: Pool, *, every: timedelta = EVERY) -> None:
    """The loop of a service that runs for longer than ``WEEKS_AHEAD``. Never returns."""
    while True:
        try:
            async with acquired(pool) as connection:
                await ensure_partitions(connection)
        except ServiceError as error:
            log.warning("partitions.deferred", code=error.code)
        await asyncio.sleep(every.total_seconds())
