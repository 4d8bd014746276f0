"""What a deployment may ask for, and how it is written on the wire."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from services.deployer.errors import DeploymentInvalidError, NotSupportedError

Envs = tuple[tuple[str, str], ...]
"""Environment variables, in the order in which they were given."""

OVERRIDES_VARIABLE: Final = "BENTOML_CONFIG_OVERRIDES"
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset(
    {
        "BENTOML_HOME",
        "BENTOML_DO_NOT_TRACK",
        "BENTOML_HOST",
        "BENTOML_PORT",
        "BENTOML_RUNNER_MAP",
        "PORT",
    }
)
_RESERVED_PREFIXES: Final = ("YOKOCHO_", "LANE_", "BENTOML_SERVE_")
_ENVS_BYTES: Final = 256 * 1024
"""Linux takes 128 KiB per variable and a few hundred together; more is a file's job."""
_CHANGE_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """One service's part."""

    min_replicas: int | None = None
    max_replicas: int | None = None
    envs: Envs = ()
    strategy: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def replicas(self) -> int:
        return self.min_replicas or self.max_replicas or 1


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a revision was asked to be, apart from its bento."""

    access_authorization: bool = False
    envs: Envs = ()
    services: Mapping[str, ServiceConfig] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names. What they mean is looked up whenever a process is started."""

    def of(self, service: str) -> ServiceConfig:
        return self.services.get(service, ServiceConfig())

    def only(self, names: frozenset[str]) -> "Config":
        """Without the services that the bento does not have: a client may send an old bento's."""
        kept = {name: each for name, each in self.services.items() if name in names}
        return replace(self, services=kept)


def check_envs(envs: Envs, *, where: str) -> None:
    """Refuse names that are none, names that are ours, and more than a process can be given."""
    for name, value in envs:
        if not _ENV_NAME.fullmatch(name):
            raise DeploymentInvalidError(where, f"'{name[:80]}' is no name of a variable")
        if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            raise NotSupportedError(where, f"{name} is set by the platform")
        if "\0" in value:
            raise DeploymentInvalidError(where, f"the value of {name} contains a NUL")
    if sum(len(name) + len(value.encode()) for name, value in envs) > _ENVS_BYTES:
        raise DeploymentInvalidError(where, f"more than {_ENVS_BYTES} bytes of variables")


def to_wire(config: Config) -> dict[str, Any]:
    """As BentoML's client reads it back, and as it is stored."""
    return {
        "access_authorization": config.access_authorization,
        "envs": _envs_to_wire(config.envs),
        "labels": None,
        "secrets": list(config.secrets) or None,
        "services": {name: _service_to_wire(each) for name, each in config.services.items()},
    }


def _service_to_wire(each: ServiceConfig) -> dict[str, Any]:
    return {
        "instance_type": None,
        "scaling": {
            "min_replicas": each.min_replicas,
            "max_replicas": each.max_replicas,
            "policy": None,
        },
        "envs": _envs_to_wire(each.envs),
        "deployment_strategy": each.strategy,
        "extras": None,
        "cold_start_timeout": None,
        "config_overrides": dict(each.overrides),
    }


def from_wire(wire: Mapping[str, Any]) -> Config:
    """The inverse of ``to_wire``."""
    return Config(
        access_authorization=wire["access_authorization"],
        envs=_envs_from_wire(wire["envs"]),
        services={
            name: ServiceConfig(
                min_replicas=each["scaling"]["min_replicas"],
                max_replicas=each["scaling"]["max_replicas"],
                envs=_envs_from_wire(each["envs"]),
                strategy=each["deployment_strategy"],
                overrides=each["config_overrides"],
            )
            for name, each in wire["services"].items()
        },
        secrets=tuple(wire["secrets"] or ()),
    )


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what differs, on both sides; anything long is replaced by its digest."""
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return (
        {name: _short(before.get(name)) for name in differing},
        {name: _short(after.get(name)) for name in differing},
    )


def described(config: Config, key: bytes) -> dict[str, Any]:
    """For events: flat, with a fingerprint in place of every value that may be a secret."""
    return dict(_described(config, key))


def _described(config: Config, key: bytes) -> Iterator[tuple[str, Any]]:
    yield "access_authorization", config.access_authorization
    yield "envs", _fingerprints(config.envs, key)
    yield "secrets", list(config.secrets)
    for name, each in config.services.items():
        yield f"services.{name}.replicas", each.replicas
        yield f"services.{name}.envs", _fingerprints(each.envs, key)
        yield f"services.{name}.deployment_strategy", each.strategy
        overrides = json.dumps(each.overrides, sort_keys=True)
        yield f"services.{name}.config_overrides", each.overrides and fingerprint(key, overrides)


def fingerprint(key: bytes, value: str) -> str:
    """Tells whether two values are the same to nobody but the holder of ``key``."""
    return f"hmac-sha256:{hmac.new(key, value.encode(), hashlib.sha256).hexdigest()}"


def _fingerprints(envs: Envs, key: bytes) -> dict[str, str]:
    return {name: fingerprint(key, value) for name, value in envs}


def _short(value: object) -> object:
    raw = json.dumps(value, sort_keys=True, default=str).encode()
    if len(raw) <= _CHANGE_BYTES:
        return value
    return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}


def _envs_to_wire(envs: Envs) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in envs]


def _envs_from_wire(wire: list[dict[str, str]]) -> Envs:
    return tuple((each["name"], each["value"]) for each in wire)
