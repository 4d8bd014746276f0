"""The registry's environment. Read once, in ``__main__``; passed from there by argument."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ProducerSettings, SettingsGroup


class BlobSettings(SettingsGroup):
    """Where the bytes of models and bentos live."""

    root: Path = Field(description="Folder of the blobs; on a file system with hard links")


class UploadSettings(SettingsGroup):
    """What is asked of a client that sends bytes."""

    silence_seconds: float = Field(
        default=60.0, ge=1, description="How long a client may send nothing before it is gone"
    )


class Settings(ProducerSettings):
    """``YOKOCHO_REGISTRY_POSTGRES__DSN``, ``YOKOCHO_REGISTRY_BLOBS__ROOT`` and so on."""

    service: ClassVar[str] = "registry"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_REGISTRY_")

    blobs: BlobSettings
    uploads: UploadSettings = UploadSettings()
