"""The gateway's environment. Read once, in ``__main__``; passed from there by argument."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import HttpSettings, ProducerSettings


class Settings(ProducerSettings):
    """``YOKOCHO_GATEWAY_POSTGRES__DSN``, ``YOKOCHO_GATEWAY_API_FD`` and so on."""

    service: ClassVar[str] = "gateway"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_GATEWAY_")

    http: HttpSettings = HttpSettings(port=7777)
    api_fd: int | None = Field(
        default=None, ge=3, description="Inherited listening socket of the API; overrides `http`"
    )
    endpoints_port: int = Field(
        default=7778, ge=0, le=65535, description="Port of the endpoints, on the host of `http`"
    )
    endpoints_fd: int | None = Field(
        default=None,
        ge=3,
        description="Inherited listening socket of the endpoints; overrides `endpoints_port`",
    )
    internal: HttpSettings | None = Field(
        default=None,
        description="Where probes and `/metrics` are served to whoever watches; strangers, who "
        "reach the other two, see no figures",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9._:\[\]-]+/?$",
        description="Where clients reach the API: those of images are sent there for a token; "
        "without it, scheme and `Host` of their own requests",
    )
    bootstrap_token_file: Path | None = Field(
        default=None,
        description="File with the first administrator's token, readable by its owner only; "
        "a token that it holds and the database does not is added at start",
    )
    replica: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=128,
        description="Name under which this data plane reports the routes it serves; its next "
        "process takes it over",
    )
    known_token_minutes: float = Field(
        default=15.0,
        ge=0,
        description="How long a token that was valid stands while the database is away",
    )
    endpoint_silence_seconds: float = Field(
        default=600.0, gt=0, description="How long a model may send nothing before a 504"
    )
    websocket_message_bytes: int = Field(
        default=16 * 2**20, gt=0, description="Largest WebSocket message in either direction"
    )
    websocket_ping_seconds: float = Field(
        default=20.0, gt=0, description="How often both ends of a WebSocket are pinged"
    )

    @property
    def known_tokens_for(self) -> timedelta:
        return timedelta(minutes=self.known_token_minutes)
