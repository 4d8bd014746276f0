"""Loops: uploads whose pusher has vanished are ended, versions of older code described."""

from datetime import timedelta
from typing import Final

import structlog

from libs.chassis.lifecycle import sleep_or_stop
from libs.chassis.postgres import DatabaseUnavailableError
from services.registry.service import OciBlobs, Search, Uploads

_OFTEN: Final = timedelta(hours=1)
_log = structlog.get_logger()


async def fail_abandoned(uploads: Uploads) -> None:
    """Look four times per silence, until the service stops. A database that is away may return."""
    while not await sleep_or_stop(uploads.silence / 4):
        try:
            await uploads.fail_silent()
        except DatabaseUnavailableError as error:
            _log.warning("uploads.not_swept", detail=error.detail)


async def forget_uploads(blobs: OciBlobs) -> None:
    """Blobs of images that nobody goes on sending."""
    while True:
        try:
            await blobs.forget_silent()
        except DatabaseUnavailableError as error:
            _log.warning("oci_uploads.not_swept", detail=error.detail)
        if await sleep_or_stop(_OFTEN):
            return


async def describe_missing(search: Search) -> None:
    """After an upgrade once, and again where older code still ran beside this one."""
    while True:
        try:
            if described := await search.describe_missing():
                _log.info("versions.described", versions=described)
        except DatabaseUnavailableError as error:
            _log.warning("versions.not_described", detail=error.detail)
        if await sleep_or_stop(_OFTEN):
            return
