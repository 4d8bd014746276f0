"""One blob on its way into a bucket: a single object, or parts that go up beside the receiving."""

import asyncio
import base64
import hashlib
import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from libs.chassis.blobs.errors import BlobsRefusedError, BlobsUnavailableError, NoSpaceError
from libs.chassis.blobs.s3answers import answers, is_missing, is_precondition

if TYPE_CHECKING:  # stubs, which are not installed where this runs
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

PART: Final = 16 * 2**20
_MOST_PARTS: Final = 9_000
"""Below S3's 10,000, for an upload of which the size is known."""
_FLYING: Final = 2
"""So many parts wait for the store while the next one fills: this bounds the memory."""


class S3Sink:
    """Every part carries its SHA-256, which the store compares."""

    def __init__(
        self, client: "S3Client", bucket: str, key: str, *, expected: int | None, conditional: bool
    ) -> None:
        self._client = client
        self._where: Any = {"Bucket": bucket, "Key": key}
        self._once: Any = {"IfNoneMatch": "*"} if conditional else {}
        self._part = max(PART, -(-(expected or 0) // _MOST_PARTS))
        self._filling = bytearray()
        self._sha = hashlib.sha256()
        self._upload: str | None = None
        self._flying: list[asyncio.Task[None]] = []
        self._sent: dict[int, CompletedPartTypeDef] = {}
        self._number = 0

    def write(self, chunk: memoryview) -> None:
        self._filling += chunk
        self._sha.update(chunk)

    async def advance(self) -> None:
        if len(self._filling) >= self._part:
            await self._ship()

    async def complete(self, digest: str, size: int) -> str:
        del digest
        if self._upload is None:
            await self._put()
        else:
            if self._filling:
                await self._ship()
            await self._landed(0)
            await self._join()
        await self._check(size)
        return str(self._where["Key"])

    async def abandon(self) -> None:
        for each in self._flying:
            each.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)
        if self._upload is not None:
            # The store ends what is left by its own rules; ours ends it at the next sweep.
            with suppress(BlobsUnavailableError, BlobsRefusedError, NoSpaceError), answers():
                await self._client.abort_multipart_upload(**self._where, UploadId=self._upload)

    async def _ship(self) -> None:
        if self._upload is None:
            with answers():
                begun = await self._client.create_multipart_upload(
                    **self._where, ChecksumAlgorithm="SHA256"
                )
            self._upload = begun["UploadId"]
        await self._landed(_FLYING - 1)
        self._number += 1
        self._flying.append(asyncio.create_task(self._send(self._number, *self._taken())))

    async def _landed(self, most: int) -> None:
        """Wait until at most so many parts are under way."""
        while len(self._flying) > most:
            await self._flying[0]
            self._flying.pop(0)

    async def _send(self, number: int, body: bytes, checksum: str) -> None:
        with answers():
            part = await self._client.upload_part(
                **self._where,
                UploadId=self._upload or "",
                PartNumber=number,
                Body=io.BytesIO(body),
                ChecksumSHA256=checksum,
            )
        self._sent[number] = {
            "PartNumber": number,
            "ETag": part["ETag"],
            "ChecksumSHA256": checksum,
        }

    async def _put(self) -> None:
        body, checksum = self._taken()
        with answers():
            try:
                await self._client.put_object(
                    **self._where, **self._once, Body=io.BytesIO(body), ChecksumSHA256=checksum
                )
            except ClientError as error:
                # The key is ours alone: what is there already came with an answer that was lost.
                if not is_precondition(error):
                    raise

    async def _join(self) -> None:
        parts = [self._sent[number] for number in sorted(self._sent)]
        with answers():
            try:
                await self._client.complete_multipart_upload(
                    **self._where,
                    **self._once,
                    UploadId=self._upload or "",
                    MultipartUpload={"Parts": parts},
                )
            except ClientError as error:
                # Completed once already, when that answer was lost: the check will tell.
                if not (is_missing(error) or is_precondition(error)):
                    raise
        self._upload = None

    async def _check(self, size: int) -> None:
        """An answer may be wrong either way: what counts is what is there."""
        with answers():
            found = await self._client.head_object(**self._where)
        if found["ContentLength"] != size:
            raise BlobsUnavailableError(
                f"the S3 store has {found['ContentLength']} of {size} bytes; try again"
            )

    def _taken(self) -> tuple[bytes, str]:
        body, checksum = bytes(self._filling), base64.b64encode(self._sha.digest()).decode()
        self._filling.clear()
        self._sha = hashlib.sha256()
        return body, checksum
