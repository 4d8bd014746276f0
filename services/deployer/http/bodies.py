"""What BentoML's client sends. Every field is honoured, or refused by its name."""

import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.deployer.domain.config import (
    OVERRIDES_VARIABLE,
    Config,
    Envs,
    ServiceConfig,
    check_envs,
)
from services.deployer.domain.names import Tag
from services.deployer.errors import DeploymentInvalidError, NotSupportedError
from services.deployer.service import Order

_STRATEGIES: Final = ("RollingUpdate", "Recreate")


class _Body(BaseModel):
    """Newer clients send fields that older ones do not know: an empty one asks for nothing."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def refuse_unknown(self, where: str = "") -> None:
        for name, value in (self.model_extra or {}).items():
            if value not in (None, "", [], {}, False):
                raise NotSupportedError(f"{where}{name}", "it is not known")


class EnvBody(_Body):
    name: str
    value: str


class LabelBody(_Body):
    key: str = Field(min_length=1, max_length=256)
    value: str = Field(max_length=1024)


class ScalingBody(_Body):
    min_replicas: int | None = None
    max_replicas: int | None = None
    policy: dict[str, Any] | None = None


class ServiceBody(_Body):
    instance_type: str | None = None
    scaling: ScalingBody | None = None
    envs: list[EnvBody] | None = None
    deployment_strategy: str | None = None
    extras: dict[str, Any] | None = None
    cold_start_timeout: float | None = None
    config_overrides: dict[str, Any] | None = None

    def parsed(self, name: str) -> ServiceConfig:
        where = f"services.{name}."
        self.refuse_unknown(where)
        self._refuse(where)
        scaling = self.scaling or ScalingBody()
        scaling.refuse_unknown(f"{where}scaling.")
        _check_scaling(scaling, f"{where}scaling.")
        envs = _envs(self.envs, f"{where}envs")
        if r"\u0000" in json.dumps(self.config_overrides):
            raise DeploymentInvalidError(f"{where}config_overrides", "a value contains a NUL")
        return ServiceConfig(
            min_replicas=scaling.min_replicas,
            max_replicas=scaling.max_replicas,
            envs=envs,
            strategy=self.deployment_strategy or None,
            overrides=self.config_overrides or {},
        )

    def _refuse(self, where: str) -> None:
        if self.instance_type:
            raise NotSupportedError(f"{where}instance_type", "this target has no instance types")
        if self.extras:
            raise NotSupportedError(f"{where}extras", "they are overrides of Kubernetes resources")
        if self.cold_start_timeout is not None:
            raise NotSupportedError(f"{where}cold_start_timeout", "nothing is scaled to zero")
        if self.deployment_strategy and self.deployment_strategy not in _STRATEGIES:
            raise NotSupportedError(
                f"{where}deployment_strategy",
                f"{self.deployment_strategy} is none of {', '.join(_STRATEGIES)}",
            )


class DeploymentBody(_Body):
    """PUT: everything that the deployment shall be."""

    bento: str = Field(min_length=1, max_length=140)
    access_authorization: bool | None = None
    envs: list[EnvBody] | None = None
    labels: list[LabelBody] | None = None
    secrets: list[str] | None = None
    services: dict[str, ServiceBody] | None = None
    canary: Any = None

    def order(self, name: str | None = None) -> Order:
        """What is asked for; raises what names the field that cannot be had."""
        self.refuse_unknown()
        if self.canary is not None:
            raise NotSupportedError("canary", "traffic goes to one revision at a time")
        services = {key: each.parsed(key) for key, each in (self.services or {}).items()}
        envs = _envs(self.envs, "envs")
        _check_overrides(envs, services)
        return Order(
            bento=Tag.parse(self.bento),
            config=Config(bool(self.access_authorization), envs, services, _names(self.secrets)),
            name=name,
            labels=_labels(self.labels),
        )


class CreateBody(DeploymentBody):
    """POST: the same, and a name."""

    name: str | None = None
    dev: bool | Literal[""] | None = None

    def named_order(self) -> Order:
        if self.dev:
            raise NotSupportedError("dev", "codespaces are not run here")
        return self.order(self.name or None)


def _check_scaling(scaling: ScalingBody, where: str) -> None:
    low, high = scaling.min_replicas, scaling.max_replicas
    if scaling.policy and any(value not in (None, [], {}) for value in scaling.policy.values()):
        raise NotSupportedError(f"{where}policy", "the number of replicas is fixed")
    if low == 0:
        raise NotSupportedError(f"{where}min_replicas", "0 would scale to zero; use terminate")
    if (low is not None and low < 0) or (high is not None and high < 1):
        raise DeploymentInvalidError(f"{where}min_replicas", "replicas are at least 1")
    if high is not None and high < (low or 1):
        raise DeploymentInvalidError(f"{where}max_replicas", f"{high} is less than min_replicas")
    if high is not None and high > (low or 1):
        raise NotSupportedError(
            f"{where}max_replicas", "the number of replicas is fixed: it must equal min_replicas"
        )


def _envs(given: list[EnvBody] | None, where: str) -> Envs:
    for each in given or ():
        each.refuse_unknown(f"{where}.{each.name}.")
    envs = tuple((each.name, each.value) for each in given or ())
    check_envs(envs, where=where)
    return envs


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given or ()))


def _labels(given: list[LabelBody] | None) -> tuple[dict[str, str], ...] | None:
    if given is None:
        return None
    if any("\0" in each.key + each.value for each in given):
        raise DeploymentInvalidError("labels", "one contains a NUL")
    return tuple({"key": each.key, "value": each.value} for each in given)


def _check_overrides(envs: Envs, services: dict[str, ServiceConfig]) -> None:
    """One variable carries both; neither may silently win."""
    named = any(
        name == OVERRIDES_VARIABLE
        for each in (envs, *(service.envs for service in services.values()))
        for name, _ in each
    )
    if named and any(service.overrides for service in services.values()):
        raise NotSupportedError(
            "config_overrides", f"it cannot be combined with the variable {OVERRIDES_VARIABLE}"
        )
