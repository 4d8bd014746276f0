"""Every store that there is: the same tests hold all of them to the same promises."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.chassis.blobs import BlobStore, FileBlobs
from libs.chassis.blobs.s3open import open_s3
from tests.support.s3 import S3Server


@asynccontextmanager
async def _bucket(server: S3Server, cache: Path | None) -> AsyncIterator[BlobStore]:
    made = await server.bucket()
    async with open_s3(made.model_copy(update={"cache_folder": cache})) as opened:
        yield opened


@pytest.fixture(params=["files", "s3", "s3 behind a cache"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    if request.param == "files":
        yield FileBlobs(tmp_path)
        return
    server: S3Server = request.getfixturevalue("s3_server")
    cache = tmp_path / "cache" if request.param == "s3 behind a cache" else None
    async with _bucket(server, cache) as opened:
        yield opened
