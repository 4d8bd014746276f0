"""From settings to a store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.chassis.blobs.files import FileBlobs
from libs.chassis.blobs.settings import BlobSettings
from libs.chassis.blobs.store import BlobStore


@asynccontextmanager
async def open_blobs(settings: BlobSettings) -> AsyncIterator[BlobStore]:
    """A folder belongs to one process: what another one left half received is forgotten."""
    if settings.s3 is not None:
        from libs.chassis.blobs.s3open import (  # noqa: PLC0415 - half a second for those who have no bucket
            open_s3,
        )

        async with open_s3(settings.s3) as bucket:
            yield bucket
    elif settings.root is not None:
        files = FileBlobs(settings.root)
        files.sweep()
        yield files
