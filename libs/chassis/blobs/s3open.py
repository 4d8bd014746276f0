"""From settings to a bucket that was tried."""

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import ClientError

from libs.chassis.blobs.cache import ChunkCache
from libs.chassis.blobs.direct import S3Direct
from libs.chassis.blobs.errors import BlobsRefusedError
from libs.chassis.blobs.s3 import S3Blobs
from libs.chassis.blobs.s3answers import answers, is_missing
from libs.chassis.blobs.settings import S3Settings

if TYPE_CHECKING:  # stubs, which are not installed where this runs
    from types_aiobotocore_s3.client import S3Client

_PROBE: Final = "probe"
_OTHER_SUM: Final = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""SHA-256 of nothing: wrong for a probe that has a byte."""
_log = structlog.get_logger()


@asynccontextmanager
async def open_s3(settings: S3Settings) -> AsyncIterator[S3Blobs]:
    """Raises ``BlobsRefusedError`` where the bucket is missing or not ours to use."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_of(settings, settings.endpoint))
        cache = None
        if settings.cache_folder is not None:
            cache = await stack.enter_async_context(
                ChunkCache.open(settings.cache_folder, limit_bytes=settings.cache_bytes)
            )
        conditional = await _probe(client, settings)
        endpoint = settings.public_endpoint or settings.endpoint
        public = await stack.enter_async_context(client_of(settings, endpoint))
        yield S3Blobs(
            client,
            settings.bucket,
            prefix=settings.prefix,
            cache=cache,
            conditional=conditional,
            direct=S3Direct(client, public, settings.bucket, prefix=settings.prefix),
        )


@cache
def _session() -> AioSession:
    """One for all clients: it reads its descriptions of S3 once."""
    return get_session()


@asynccontextmanager
async def client_of(settings: S3Settings, endpoint: str | None) -> AsyncIterator["S3Client"]:
    """Sums are our own and explicit: what libraries add by themselves, many stores refuse."""
    keys: dict[str, Any] = {}
    if settings.access_key is not None and settings.secret_key is not None:
        keys = {
            "aws_access_key_id": settings.access_key.get_secret_value(),
            "aws_secret_access_key": settings.secret_key.get_secret_value(),
        }
    async with _session().create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=endpoint,
        config=AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": settings.addressing, "payload_signing_enabled": False},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=3,
            read_timeout=20,
            max_pool_connections=32,
            retries={"mode": "standard", "max_attempts": 4},
        ),
        **keys,
    ) as client:
        yield client


async def _probe(client: "S3Client", settings: S3Settings) -> bool:
    """Whether the store has ``If-None-Match``; and whether it compares sums, for the log."""
    where: Any = {"Bucket": settings.bucket, "Key": f"{settings.prefix}{_PROBE}"}
    with answers():
        try:
            await client.put_object(**where, Body=io.BytesIO(b"1"))
        except ClientError as error:
            if is_missing(error) or error.response["Error"].get("Code") == "NoSuchBucket":
                raise BlobsRefusedError(
                    f"there is no bucket '{settings.bucket}': make it first"
                ) from error
            raise
        conditional = await _is_refused(client, where, {"IfNoneMatch": "*"})
        compares = await _is_refused(client, where, {"ChecksumSHA256": _OTHER_SUM})
    _log.info("s3.probed", conditional_writes=conditional, compares_checksums=compares)
    return conditional


async def _is_refused(client: "S3Client", where: Any, condition: Any) -> bool:
    try:
        await client.put_object(**where, **condition, Body=io.BytesIO(b"1"))
    except ClientError:
        return True
    return False
