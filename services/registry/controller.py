"""The loop that ends uploads whose pusher has vanished."""

import structlog

from libs.chassis.lifecycle import sleep_or_stop
from libs.chassis.postgres import DatabaseUnavailableError
from services.registry.service import Uploads

_log = structlog.get_logger()


async def fail_abandoned(uploads: Uploads) -> None:
    """Look four times per silence, until the service stops. A database that is away may return."""
    while not await sleep_or_stop(uploads.silence / 4):
        try:
            await uploads.fail_silent()
        except DatabaseUnavailableError as error:
            _log.warning("uploads.not_swept", detail=error.detail)
