"""A service's environment, parsed once. Unknown variables end the process, with a near match."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from libs.chassis.variables import Variable, variables

PROJECT_PREFIX: Final = "YOKOCHO_"
_LINK_NAME: Final = re.compile(
    r"(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes injects for a Service whose name makes our prefix: not ours, not a typo."""
_LINK_VALUE: Final = re.compile(r"(?:tcp|udp|sctp)(?:://.*)?|\d+|[0-9a-fA-F.:]+|None")


STREAM_BYTES: Final = 2**30
"""A million facts or so. NATS reserves it: all streams together must fit into its limit."""


class SettingsError(SystemExit):
    """The environment cannot be used. Uncaught, it ends the process with its message alone."""


class SettingsGroup(BaseModel):
    """Variables that belong together: ``YOKOCHO_<SERVICE>_<GROUP>__<FIELD>``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PostgresSettings(SettingsGroup):
    """The service's own database, entered with its own role."""

    dsn: SecretStr = Field(description="Where queries go; may be a transaction pooler")
    direct_dsn: SecretStr | None = Field(
        default=None,
        description="The server itself, for migrations, leases and LISTEN; default: `dsn`",
    )
    pool_max: int = Field(default=6, ge=1, description="Most connections this process opens")


class BusSettings(SettingsGroup):
    """NATS, entered with the service's own user."""

    url: SecretStr = Field(description="`nats://user:password@host:port`, several by comma")
    stream_bytes: int = Field(
        default=STREAM_BYTES,
        ge=2**26,
        description="Most that the service's stream holds; the oldest facts leave a full one",
    )


class HttpSettings(SettingsGroup):
    """Where the service listens."""

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(ge=0, le=65535, description="Port to listen on; 0 takes any free one")


class IdentitySettings(SettingsGroup):
    """The service's signing key, and the public keys of all services."""

    key_file: Path = Field(description="PEM file with the service's Ed25519 private key")
    public_keys_file: Path = Field(description="JSON Web Key Set of every service's public keys")


class TelemetrySettings(SettingsGroup):
    """What the service says about itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for machines, `console` for people"
    )
    otlp_endpoint: AnyUrl | None = Field(
        default=None, description="OTLP/HTTP collector for traces; nothing is exported without it"
    )
    sample_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of new traces that are recorded"
    )


class ServiceSettings(BaseSettings):
    """The groups every service has. A service adds its own fields and names itself."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )
    service: ClassVar[str]

    postgres: PostgresSettings
    bus: BusSettings
    http: HttpSettings
    identity: IdentitySettings
    telemetry: TelemetrySettings = TelemetrySettings()
    peers: dict[str, str] = Field(
        default_factory=dict, description="Base URL of each service that this one calls"
    )

    @classmethod
    def prefix(cls) -> str:
        return f"{PROJECT_PREFIX}{cls.service.upper()}_"

    @classmethod
    def variables(cls) -> tuple[Variable, ...]:
        """Every variable that is read, in the order of the fields."""
        return tuple(variables(cls, cls.prefix()))

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises ``SettingsError`` that names every wrong variable."""
        complaints = list(_unknown(cls, os.environ))
        if complaints:
            raise SettingsError("\n".join(complaints))
        try:
            return cls(_env_prefix=cls.prefix())
        except ValidationError as error:
            raise SettingsError("\n".join(_invalid(cls, error))) from None
        except UnreadableError as error:
            raise SettingsError(str(error)) from None


class ProducerSettings(ServiceSettings):
    """A service that says events of its own."""

    epoch: int = Field(
        default=1,
        ge=1,
        description="Raised when the database is restored: `entityseq` of its events starts anew",
    )


def _unknown(settings: type[ServiceSettings], environment: Mapping[str, str]) -> Iterator[str]:
    """pydantic-settings ignores unknown top-level variables, so the names are compared here."""
    known = settings.variables()
    groups = {each.name.rpartition("__")[0] for each in known if "__" in each.name}
    for given in sorted(environment):
        name = given.upper()
        if not name.startswith(settings.prefix()) or name in groups:
            continue
        if any(each.matches(name) for each in known):
            continue
        if not _service_link(name.removeprefix(settings.prefix()), environment[given]):
            near = difflib.get_close_matches(name, [each.name for each in known], n=2, cutoff=0.7)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            yield f"{given}: no such setting{hint}"


def _service_link(name: str, value: str) -> bool:
    return bool(_LINK_NAME.fullmatch(name) and _LINK_VALUE.fullmatch(value))


def _invalid(settings: type[ServiceSettings], error: ValidationError) -> Iterator[str]:
    """Names and reasons, never values: a value may be a secret."""
    for each in error.errors(include_input=False, include_url=False, include_context=False):
        name = settings.prefix() + "__".join(str(part) for part in each["loc"]).upper()
        yield f"{name}: {each['msg']}"
