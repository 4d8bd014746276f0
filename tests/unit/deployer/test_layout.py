"""Which services run, in which order, how often; and what cannot be run."""

from typing import Any

import pytest

from services.deployer.domain.config import Config, ServiceConfig
from services.deployer.domain.layout import layout_of
from services.deployer.errors import NotSupportedError
from tests.support.deployer import manifest


def test_every_dependency_comes_before_what_needs_it() -> None:
    layout = layout_of(manifest("Gateway>Left,Right", "Left>Base", "Right>Base", "Base"), Config())

    assert [each.name for each in layout] == ["Base", "Left", "Right", "Gateway"]
    assert [each.entry for each in layout] == [False, False, False, True]
    assert layout[-1].needs == ("Base", "Left", "Right"), "transitive ones too"


def test_early_clients_wrote_dependencies_as_strings() -> None:
    described = manifest("Gateway", "Inner")
    described["services"][0]["dependencies"] = ["Inner"]

    assert [each.name for each in layout_of(described, Config())] == ["Inner", "Gateway"]


def test_a_url_is_nobodys_process_and_an_unused_service_does_not_run() -> None:
    described = manifest("Gateway", "Unused")
    described["services"][0]["dependencies"] = [{"service": None, "url": "http://elsewhere"}]

    assert [each.name for each in layout_of(described, Config())] == ["Gateway"]


def test_a_service_may_have_probes_of_its_own() -> None:
    described = manifest("Gateway")
    described["services"][0]["config"] = {"endpoints": {"readyz": "/p/readyz", "livez": "p/livez"}}

    [service] = layout_of(described, Config())

    assert (service.readyz, service.livez) == ("/p/readyz", "/p/livez")


def test_a_manifest_without_an_entry_has_it_first() -> None:
    described = manifest("Gateway>Inner", "Inner")
    del described["entry_service"]

    assert layout_of(described, Config())[-1].name == "Gateway"


@pytest.mark.parametrize(
    ("described", "config", "named"),
    [
        pytest.param({"runners": [{}]}, Config(), "1.2", id="legacy"),
        pytest.param(
            manifest("Gateway>Inner", "Inner"),
            Config(services={"Inner": ServiceConfig(min_replicas=2)}),
            "Inner",
            id="replicas-of-a-dependency",
        ),
        pytest.param(
            manifest("Gateway"),
            Config(services={"Gateway": ServiceConfig(overrides={"ssl": {"enabled": True}})}),
            "ssl",
            id="tls",
        ),
    ],
)
def test_what_cannot_be_run_is_named(described: dict[str, Any], config: Config, named: str) -> None:
    with pytest.raises(NotSupportedError, match=named):
        layout_of(described, config)
