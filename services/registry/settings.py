"""The registry's environment. Read once, in ``__main__``; passed from there by argument."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.chassis.blobs.settings import BlobSettings
from libs.chassis.settings import ProducerSettings, SettingsGroup


class UploadSettings(SettingsGroup):
    """What is asked of a client that sends bytes."""

    silence_seconds: float = Field(
        default=60.0, ge=1, description="How long a client may send nothing before it is gone"
    )
    strategy: Literal["proxy", "presigned", "multipart"] = Field(
        default="proxy",
        description="How clients send where their organisation has not chosen: through the "
        "service, by one signed URL, or in parts by one each",
    )


class ScrubSettings(SettingsGroup):
    """Everything that is stored is read again and again, and compared with its digest."""

    days: float = Field(default=30.0, gt=0, description="How often each blob is read again")
    bytes_per_second: float = Field(
        default=32 * 2**20, gt=0, description="At most so fast, beside the work"
    )


class CollectSettings(SettingsGroup):
    """How long what nobody needs is kept all the same."""

    undo_days: float = Field(
        default=7.0, ge=0, description="How long a deleted version can be brought back"
    )
    unneeded_hours: float = Field(
        default=24.0, ge=0, description="How long nobody must have pointed to bytes"
    )
    deleting_hours: float = Field(
        default=24.0, ge=0, description="How long bytes stay that are marked to go"
    )
    unknown_hours: float = Field(
        default=24.0, ge=1, description="Age of bytes that no database knows; above any upload's"
    )
    every_minutes: float = Field(default=10.0, gt=0, description="How often all that is looked at")


class Settings(ProducerSettings):
    """``YOKOCHO_REGISTRY_POSTGRES__DSN``, ``YOKOCHO_REGISTRY_BLOBS__ROOT`` and so on."""

    service: ClassVar[str] = "registry"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_REGISTRY_")

    blobs: BlobSettings
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9._:\[\]-]+/?$",
        description="Where clients reach the API, for signed URLs of our own",
    )
    uploads: UploadSettings = UploadSettings()
    scrub: ScrubSettings = ScrubSettings()
    collect: CollectSettings = CollectSettings()
