"""What the client really sends, and what becomes of it."""

from typing import Any

import pytest

from services.deployer.domain.config import from_wire, to_wire
from services.deployer.domain.names import Tag
from services.deployer.errors import DeploymentInvalidError, NotSupportedError
from services.deployer.http.bodies import CreateBody, DeploymentBody

SERVICE: dict[str, Any] = {
    "instance_type": None,
    "scaling": {"min_replicas": 1, "max_replicas": 1, "policy": None},
    "envs": None,
    "deployment_strategy": None,
    "extras": None,
    "cold_start_timeout": None,
    "config_overrides": {},
}
RECORDED: dict[str, Any] = {
    "access_authorization": False,
    "envs": None,
    "labels": None,
    "secrets": None,
    "services": {"Gateway": SERVICE},
    "canary": None,
    "bento": "gateway:ncegsmhezkpk6ax4",
    "name": None,
    "dev": False,
}


def test_a_recorded_body_asks_for_one_replica_and_nothing_else() -> None:
    order = CreateBody.model_validate(RECORDED).named_order()

    assert order.bento == Tag("gateway", "ncegsmhezkpk6ax4")
    assert (order.name, order.labels) == (None, None)
    assert order.config.of("Gateway").replicas == 1
    assert order.config.envs == ()


@pytest.mark.parametrize("tag", ["gateway", "gateway:latest"])
def test_a_tag_without_a_version_means_the_latest(tag: str) -> None:
    body = CreateBody.model_validate(RECORDED | {"bento": tag})

    assert body.order().bento == Tag("gateway", "latest")


def test_everything_that_is_kept_comes_back_as_it_was_sent() -> None:
    service = SERVICE | {
        "envs": [{"name": "E", "value": "e"}],
        "deployment_strategy": "Recreate",
        "config_overrides": {"traffic": {"timeout": 60}},
    }
    body = RECORDED | {"envs": [{"name": "G", "value": ""}], "services": {"Gateway": service}}

    config = DeploymentBody.model_validate(_without_name(body)).order().config

    assert to_wire(config)["services"] == {"Gateway": service}
    assert to_wire(config)["envs"] == [{"name": "G", "value": ""}]
    assert from_wire(to_wire(config)) == config


@pytest.mark.parametrize(
    ("scaling", "replicas"),
    [
        pytest.param(None, 1, id="none"),
        pytest.param({"min_replicas": None, "max_replicas": None}, 1, id="both-null"),
        pytest.param({"min_replicas": 3, "max_replicas": 3}, 3, id="both"),
        pytest.param({"min_replicas": 2}, 2, id="min-only"),
        pytest.param({"min_replicas": None, "max_replicas": 1}, 1, id="max-only"),
        pytest.param({"min_replicas": 1, "max_replicas": 1, "policy": {}}, 1, id="empty-policy"),
    ],
)
def test_replicas(scaling: dict[str, Any] | None, replicas: int) -> None:
    services = {"Gateway": SERVICE | {"scaling": scaling}}

    order = DeploymentBody.model_validate({"bento": "gateway", "services": services}).order()

    assert order.config.of("Gateway").replicas == replicas


@pytest.mark.parametrize(
    ("scaling", "error"),
    [
        pytest.param({"min_replicas": 0}, NotSupportedError, id="to-zero"),
        pytest.param({"max_replicas": 2}, NotSupportedError, id="max-above-one"),
        pytest.param({"min_replicas": 1, "max_replicas": 3}, NotSupportedError, id="range"),
        pytest.param({"min_replicas": 3, "max_replicas": 1}, DeploymentInvalidError, id="crossed"),
        pytest.param({"min_replicas": -1}, DeploymentInvalidError, id="negative"),
    ],
)
def test_replicas_that_cannot_be_had(scaling: dict[str, Any], error: type[Exception]) -> None:
    services = {"Gateway": SERVICE | {"scaling": scaling}}
    body = DeploymentBody.model_validate({"bento": "gateway", "services": services})

    with pytest.raises(error):
        body.order()


def test_unknown_fields_that_ask_for_nothing_are_taken() -> None:
    services = {"Gateway": SERVICE | {"newer": None}}

    DeploymentBody.model_validate({"bento": "gateway", "services": services, "new": []}).order()


def test_overrides_are_given_in_one_way_only() -> None:
    body = {
        "bento": "gateway",
        "envs": [{"name": "BENTOML_CONFIG_OVERRIDES", "value": "{}"}],
        "services": {"Gateway": SERVICE | {"config_overrides": {"workers": 2}}},
    }

    with pytest.raises(NotSupportedError, match="BENTOML_CONFIG_OVERRIDES"):
        DeploymentBody.model_validate(body).order()


def _without_name(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"name", "dev"}}
