"""The events service's environment. Read once, in ``__main__``; passed from there by argument."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """``YOKOCHO_EVENTS_POSTGRES__DSN``, ``YOKOCHO_EVENTS_ANCHOR_SECONDS`` and so on."""

    service: ClassVar[str] = "events"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_EVENTS_")

    anchor_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How often the heads of all chains are anchored in the platform chain",
    )

    @property
    def anchor_every(self) -> timedelta:
        return timedelta(seconds=self.anchor_seconds)
