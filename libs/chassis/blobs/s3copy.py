"""Copies that the store makes by itself, of any size."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # stubs, which are not installed where this runs
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

_WHOLE: Final = 5 * 2**30
"""The most that S3 copies at once."""
_PART: Final = 2**30


async def copy(client: "S3Client", bucket: str, *, source: str, target: str) -> None:
    """Raises what botocore raises; a copy that fails leaves nothing."""
    origin: Any = {"Bucket": bucket, "Key": source}
    size = (await client.head_object(**origin))["ContentLength"]
    if size <= _WHOLE:
        await client.copy_object(Bucket=bucket, Key=target, CopySource=origin)
        return
    place: Any = {"Bucket": bucket, "Key": target}
    upload = (await client.create_multipart_upload(**place))["UploadId"]
    try:
        parts: list[CompletedPartTypeDef] = []
        for number, first in enumerate(range(0, size, _PART), start=1):
            made = await client.upload_part_copy(
                **place,
                UploadId=upload,
                PartNumber=number,
                CopySource=origin,
                CopySourceRange=f"bytes={first}-{min(first + _PART, size) - 1}",
            )
            parts.append({"PartNumber": number, "ETag": made["CopyPartResult"]["ETag"]})
        await client.complete_multipart_upload(
            **place, UploadId=upload, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        await client.abort_multipart_upload(**place, UploadId=upload)
        raise
