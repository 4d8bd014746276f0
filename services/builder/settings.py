"""The builder's environment. Read once, in ``__main__``; passed from there by argument."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ProducerSettings
from services.builder.plan import DEFAULT_TEMPLATE, check_template


class Settings(ProducerSettings):
    """``YOKOCHO_BUILDER_POSTGRES__DSN``, ``YOKOCHO_BUILDER_ROOT`` and so on."""

    service: ClassVar[str] = "builder"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_BUILDER_")

    root: Path = Field(description="Folder for environments, images and logs of builds")
    marker: str | None = Field(
        default=None,
        min_length=1,
        description="What every process started here carries in its environment; "
        "without it, the root folder",
    )
    lanes: int = Field(default=2, ge=1, le=64, description="Builds that are made at the same time")
    lanes_per_org: int = Field(
        default=2, ge=1, le=64, description="How many of them one organisation may have"
    )
    timeout: timedelta = Field(
        default=timedelta(hours=1), gt=timedelta(0), description="How long an attempt may take"
    )
    build_on_push: bool = Field(
        default=False, description="For organisations that never said: an image of every bento"
    )
    keep_logs: timedelta = Field(
        default=timedelta(days=30), gt=timedelta(0), description="How long logs of builds are kept"
    )
    keep_unused: timedelta = Field(
        default=timedelta(days=90),
        gt=timedelta(0),
        description="How long is remembered what builds would find again, while none does",
    )
    cache_bytes: int | None = Field(
        default=None,
        ge=0,
        description="uv's cache is emptied when it takes more; without it, only what is of no use",
    )
    index_url: str | None = Field(
        default=None, description="Package index to resolve from; without it, uv's own settings"
    )
    image_name: str = Field(
        default=DEFAULT_TEMPLATE,
        description="What images are called: of {repository}, {version} and {org}",
    )

    @field_validator("image_name")
    @classmethod
    def _named(cls, template: str) -> str:
        return check_template(template)
