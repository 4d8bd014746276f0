"""Where blobs live."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from libs.chassis.settings import SettingsGroup


class S3Settings(SettingsGroup):
    """A bucket that belongs to the service alone."""

    bucket: str = Field(description="Its name; it must exist")
    endpoint: str | None = Field(
        default=None, description="URL of the store; default: Amazon's for the region"
    )
    public_endpoint: str | None = Field(
        default=None,
        description="URL at which clients reach the same store; default: `endpoint`",
    )
    region: str = Field(default="us-east-1", description="Part of every signature")
    prefix: str = Field(
        default="",
        pattern=r"^([a-zA-Z0-9._-]+/)*$",
        description="Folder in the bucket, with its slash at the end",
    )
    access_key: SecretStr | None = Field(
        default=None, description="Default: what the machine's role or environment gives"
    )
    secret_key: SecretStr | None = Field(default=None, description="Goes with `access_key`")
    addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto", description="Whether the bucket is named in the path or in the host"
    )
    cache_folder: Path | None = Field(
        default=None, description="Local folder for what is read often; default: none"
    )
    cache_bytes: int = Field(default=10 * 2**30, ge=0, description="Most that the cache holds")

    @model_validator(mode="after")
    def _keys_together(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together")
        return self


class BlobSettings(SettingsGroup):
    """Where the bytes of models, bentos and images live: in a folder, or in a bucket."""

    root: Path | None = Field(
        default=None, description="Folder of the blobs; on a file system with hard links"
    )
    s3: S3Settings | None = Field(default=None, description="Or a bucket")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.root is None) == (self.s3 is None):
            raise ValueError("either `root` or `s3`, and not both")
        return self
