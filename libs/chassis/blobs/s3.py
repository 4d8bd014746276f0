"""Blobs in a bucket of any store that speaks S3."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from uuid_utils.compat import uuid7

from libs.chassis.blobs.cache import ChunkCache
from libs.chassis.blobs.direct import Direct
from libs.chassis.blobs.errors import BlobDamagedError, BlobsUnavailableError
from libs.chassis.blobs.receiving import Receiving
from libs.chassis.blobs.s3answers import answers, is_beyond, is_missing
from libs.chassis.blobs.s3copy import copy
from libs.chassis.blobs.s3sink import S3Sink
from libs.chassis.blobs.store import CHUNK, Blob, Observer, Stored

if TYPE_CHECKING:  # stubs, which are not installed where this runs
    from types_aiobotocore_s3.client import S3Client

_AHEAD: Final = 2
"""So many chunks are fetched while one is sent."""
_TRIES: Final = 3
_FOLDER: Final = "blobs/"
_QUARANTINE: Final = "quarantine/"


class S3Blobs:
    """No key is written twice. ``prefix`` ends with a slash, or is empty.

    ``conditional``: the store understands ``If-None-Match: *``.
    """

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        *,
        prefix: str = "",
        cache: ChunkCache | None = None,
        conditional: bool = True,
        direct: Direct,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._cache = cache
        self._conditional = conditional
        self.direct = direct

    def require(self, size: int) -> None:
        """Nobody can know how much a bucket takes."""

    @asynccontextmanager
    async def receive(
        self, observer: Observer | None = None, *, size: int | None = None, hot: bool = False
    ) -> AsyncIterator[Receiving]:
        del hot
        sink = S3Sink(
            self._client,
            self._bucket,
            self.new_location(),
            expected=size,
            conditional=self._conditional,
        )
        receiving = Receiving(sink, observer, expected=size)
        try:
            yield receiving
        finally:
            await receiving.abandon()

    def new_location(self) -> str:
        return f"{self._prefix}{_FOLDER}{uuid7().hex}"

    async def read(
        self, blob: Blob, *, first: int = 0, length: int | None = None, fresh: bool = False
    ) -> AsyncGenerator[bytes, None]:
        end = blob.size_bytes if length is None else min(first + length, blob.size_bytes)
        chunk_of = self._fetched if fresh else self._chunk
        waiting = deque(range(first // CHUNK, -(-end // CHUNK)))
        ahead: deque[tuple[int, asyncio.Task[bytes]]] = deque()
        try:
            while waiting or ahead:
                while waiting and len(ahead) <= _AHEAD:
                    index = waiting.popleft()
                    ahead.append((index, asyncio.create_task(chunk_of(blob, index))))
                index, task = ahead[0]
                chunk = await task
                ahead.popleft()
                yield chunk[max(first - index * CHUNK, 0) : end - index * CHUNK]
        finally:
            for _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    async def remove(self, location: str) -> None:
        with answers():
            await self._client.delete_object(Bucket=self._bucket, Key=location)

    async def quarantine(self, location: str) -> None:
        target = f"{self._prefix}{_QUARANTINE}{location.rpartition('/')[2]}"
        with answers():
            try:
                await copy(self._client, self._bucket, source=location, target=target)
            except ClientError as error:
                if not is_missing(error):
                    raise
        await self.remove(location)

    async def forget_before(self, since: datetime) -> int:
        return await self.direct.forget_before(since)

    async def everything(self) -> AsyncIterator[Stored]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{_FOLDER}"
        )
        with answers():
            async for page in pages:
                for each in page.get("Contents", []):
                    yield Stored(each["Key"], each["Size"], each["LastModified"])

    async def _chunk(self, blob: Blob, index: int) -> bytes:
        if self._cache is None:
            return await self._fetched(blob, index)
        return await self._cache.get(blob, index, lambda: self._fetched(blob, index))

    async def _fetched(self, blob: Blob, index: int) -> bytes:
        """Right, or an error. What is wrong once may only have been so on its way."""
        failed: Exception = AssertionError()
        for _ in range(_TRIES):
            try:
                chunk = await self._fetch(blob, index)
            except BlobsUnavailableError as error:
                failed = error
                continue
            if blob.is_right(index, chunk):
                return chunk
            at = index * CHUNK
            failed = BlobDamagedError(f"{blob.digest} is damaged at byte {at}", at=at)
        raise failed

    async def _fetch(self, blob: Blob, index: int) -> bytes:
        last = min((index + 1) * CHUNK, blob.size_bytes) - 1
        with answers():
            try:
                found = await self._client.get_object(
                    Bucket=self._bucket, Key=blob.location, Range=f"bytes={index * CHUNK}-{last}"
                )
                async with found["Body"] as body:
                    return await body.read()
            except ClientError as error:
                if is_missing(error):
                    raise BlobDamagedError(f"the bytes of {blob.digest} are gone") from error
                if is_beyond(error):
                    return b""
                raise
