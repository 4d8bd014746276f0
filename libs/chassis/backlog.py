"""What waits in a service's database, measured for ``/metrics``: facts unsaid, letters unread."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from libs.chassis import metrics
from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Connection, Pool, acquired

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(seconds=5)

_WAITING: Final = """
SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS facts,
       (SELECT extract(epoch FROM clock_timestamp() - created_at) FROM outbox
        WHERE published_at IS NULL ORDER BY id LIMIT 1) AS seconds
"""
_OPEN: Final = """
SELECT consumer, count(*) AS letters FROM dead_letter WHERE resolved_at IS NULL GROUP BY consumer
"""


async def watch_backlog(pool: Pool, *, every: timedelta = EVERY) -> None:
    """Never returns. While the database is away the last figures stand."""
    while True:
        try:
            async with acquired(pool) as connection:
                await _measure(connection)
        except ServiceError as error:
            log.warning("backlog.deferred", code=error.code)
        await asyncio.sleep(every.total_seconds())


async def _measure(connection: Connection) -> None:
    waiting = await connection.fetchrow(_WAITING)
    letters = await connection.fetch(_OPEN)
    if waiting is not None:
        metrics.UNPUBLISHED.set(waiting["facts"])
        metrics.OLDEST_SECONDS.set(max(waiting["seconds"] or 0, 0))
    metrics.DEAD_LETTERS.clear()  # a consumer whose letters are all resolved has no row
    for each in letters:
        metrics.DEAD_LETTERS.labels(each["consumer"]).set(each["letters"])
