"""The builder's environment. Read once, in ``__main__``; passed from there by argument."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ProducerSettings


class Settings(ProducerSettings):
    """``YOKOCHO_BUILDER_POSTGRES__DSN``, ``YOKOCHO_BUILDER_ROOT`` and so on."""

    service: ClassVar[str] = "builder"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_BUILDER_")

    root: Path = Field(description="Folder for environments, images and logs of builds")
    lanes: int = Field(default=2, ge=1, le=64, description="Builds that are made at the same time")
    index_url: str | None = Field(
        default=None, description="Package index to resolve from; without it, uv's own settings"
    )
    signing_key_file: Path | None = Field(
        default=None,
        description="Private key that images are signed with: cosign's, or PKCS#8 in PEM (ECDSA"
        " P-256, Ed25519); without it they are not signed",
    )
    signing_key_password: SecretStr | None = Field(
        default=None, description="Goes with `signing_key_file`, where that is encrypted"
    )
