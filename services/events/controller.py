"""The loop that anchors every organisation's head in the platform chain."""

import asyncio
from datetime import timedelta

import structlog

from libs.chassis.errors import ServiceError
from services.events.service import EventLog

log = structlog.get_logger(__name__)


async def anchor_heads(events: EventLog, *, every: timedelta) -> None:
    """Never ends. A database that is away is tried again at the next turn."""
    while True:
        await asyncio.sleep(every.total_seconds())
        try:
            if await events.anchor():
                log.info("log.anchored")
        except ServiceError as error:
            log.warning("log.anchor_deferred", code=error.code, detail=error.detail)
