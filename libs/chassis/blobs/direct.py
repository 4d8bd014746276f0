"""Bytes that clients send straight to the store, and what makes blobs of them.

Always in parts, be it one: what was joined nobody can change by a URL that was handed out
before, so it is read and hashed where it lies, and never copied.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError
from uuid_utils.compat import uuid7

from libs.chassis.blobs.errors import BlobDamagedError, BlobsUnavailableError
from libs.chassis.blobs.receiving import Receiving
from libs.chassis.blobs.s3answers import answers, is_missing
from libs.chassis.blobs.store import Blob, Observer

if TYPE_CHECKING:  # stubs, which are not installed where this runs
    from types_aiobotocore_s3.client import S3Client

_PIECE: Final = 2**20
_TRIES: Final = 4


class Direct(Protocol):
    """What a store can do for clients that reach it by themselves."""

    async def get_url(self, location: str, lifetime: timedelta) -> str: ...

    async def begin_parts(self, location: str) -> str:
        """The store's own name for an upload in parts."""

    async def part_url(
        self, location: str, upload: str, *, number: int, lifetime: timedelta
    ) -> str: ...

    async def parts_of(self, location: str, upload: str) -> list[tuple[int, str]]:
        """Number and ETag of each that has come; none where the upload is over."""

    async def join_parts(
        self, location: str, upload: str, parts: Sequence[tuple[int, str]]
    ) -> None:
        """Number and ETag of each. Idempotent; after it nobody can change the object."""

    async def forget(self, location: str, upload: str | None) -> None:
        """Whatever came of it. Idempotent."""

    async def adopt(self, location: str, observer: Observer) -> Blob:
        """Read and hash what was joined."""

    async def forget_before(self, since: datetime) -> int:
        """What clients, or ourselves, left half sent; how many."""

    def new_location(self) -> str: ...


class S3Direct:
    """``public`` signs for the address at which clients reach the store."""

    def __init__(self, client: "S3Client", public: "S3Client", bucket: str, *, prefix: str) -> None:
        self._client = client
        self._public = public
        self._bucket = bucket
        self._prefix = prefix

    def new_location(self) -> str:
        return f"{self._prefix}blobs/{uuid7().hex}"

    async def get_url(self, location: str, lifetime: timedelta) -> str:
        return await self._signed("get_object", self._at(location), lifetime)

    async def begin_parts(self, location: str) -> str:
        with answers():
            begun = await self._client.create_multipart_upload(**self._at(location))
        return begun["UploadId"]

    async def part_url(
        self, location: str, upload: str, *, number: int, lifetime: timedelta
    ) -> str:
        told = {**self._at(location), "UploadId": upload, "PartNumber": number}
        return await self._signed("upload_part", told, lifetime)

    async def parts_of(self, location: str, upload: str) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        with answers():
            listed = self._client.get_paginator("list_parts")
            try:
                async for page in listed.paginate(**self._at(location), UploadId=upload):
                    found += [(each["PartNumber"], each["ETag"]) for each in page.get("Parts", [])]
            except ClientError as error:
                if not is_missing(error):
                    raise
        return found

    async def join_parts(
        self, location: str, upload: str, parts: Sequence[tuple[int, str]]
    ) -> None:
        named: Any = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        with answers():
            try:
                await self._client.complete_multipart_upload(
                    **self._at(location), UploadId=upload, MultipartUpload={"Parts": named}
                )
            except ClientError as error:
                # Joined once already, when that answer was lost: whoever adopts it will see.
                if not is_missing(error):
                    raise

    async def forget(self, location: str, upload: str | None) -> None:
        with answers():
            if upload is not None:
                try:
                    await self._client.abort_multipart_upload(**self._at(location), UploadId=upload)
                except ClientError as error:
                    if not is_missing(error):
                        raise
            await self._client.delete_object(**self._at(location))

    async def adopt(self, location: str, observer: Observer) -> Blob:
        with answers():
            try:
                size = (await self._client.head_object(**self._at(location)))["ContentLength"]
            except ClientError as error:
                raise _gone(error) from error
        receiving = Receiving(_There(location), observer, expected=size)
        try:
            async for piece in self._bytes(location, size):
                await receiving.write(piece)
            return await receiving.commit()
        finally:
            await receiving.abandon()

    async def forget_before(self, since: datetime) -> int:
        forgotten = 0
        with answers():
            listed = self._client.get_paginator("list_multipart_uploads")
            async for page in listed.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for each in page.get("Uploads", []):
                    if each["Initiated"] <= since:
                        await self.forget(each["Key"], each["UploadId"])
                        forgotten += 1
        return forgotten

    async def _bytes(self, location: str, size: int) -> AsyncIterator[bytes]:
        """What breaks off goes on where it was."""
        at, tries = 0, 0
        while at < size:
            try:
                async for piece in self._from(location, at):
                    at += len(piece)
                    tries = 0
                    yield piece
            except BlobsUnavailableError:
                tries += 1
                if tries == _TRIES:
                    raise

    async def _from(self, location: str, at: int) -> AsyncIterator[bytes]:
        with answers():
            found = await self._client.get_object(**self._at(location), Range=f"bytes={at}-")
            async with found["Body"] as body:
                async for piece in body.iter_chunks(_PIECE):
                    yield piece

    async def _signed(self, method: Any, told: Any, lifetime: timedelta) -> str:
        with answers():
            return await self._public.generate_presigned_url(
                method, Params=told, ExpiresIn=int(lifetime.total_seconds())
            )

    def _at(self, location: str) -> Any:
        return {"Bucket": self._bucket, "Key": location}


class _There:
    """The sink of bytes that lie where they should already."""

    def __init__(self, location: str) -> None:
        self._location = location

    def write(self, chunk: memoryview) -> None:
        """They do."""

    async def advance(self) -> None:
        """Nothing to do."""

    async def complete(self, digest: str, size: int) -> str:
        del digest, size
        return self._location

    async def abandon(self) -> None:
        """Nothing to do."""


def _gone(error: ClientError) -> Exception:
    return BlobDamagedError("no bytes were sent") if is_missing(error) else error
