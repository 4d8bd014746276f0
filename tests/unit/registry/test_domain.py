"""Manifests as clients of every age write them, and as nobody should."""

import pytest

from services.registry.domain import models_of, normalised
from services.registry.views import full_view
from tests.support.registry import version_of

HUB = "org--tiny:0a1b2c"


def test_models_are_those_of_every_service_and_of_the_build_file_once_each() -> None:
    manifest = {
        "models": ["a:1", "b:2"],
        "services": [
            {"name": "S", "models": [{"tag": "b:2", "registry": "bentoml"}]},
            {"name": "T", "models": [{"tag": "c:3", "registry": "bentoml", "alias": "x"}]},
        ],
    }

    assert models_of(manifest) == ["b:2", "c:3", "a:1"]


def test_models_of_a_hub_are_not_the_registrys() -> None:
    """The flat list names them without saying where they are."""
    hub = {
        "tag": HUB,
        "registry": "huggingface",
        "metadata": {"model_id": "org/tiny", "revision": "main", "endpoint": "hub.example"},
    }
    manifest = {"models": [HUB, "a:1"], "services": [{"name": "S", "models": [hub]}]}

    assert models_of(manifest) == ["a:1"]


def test_dependencies_become_objects() -> None:
    services = [{"name": "S", "dependencies": ["T", {"service": "U"}]}, {"name": "T"}]

    seen = normalised({"services": services})["services"]

    assert seen[0]["dependencies"] == [{"service": "T"}, {"service": "U"}]
    assert seen[1]["name"] == "T"


def test_what_every_client_wants_is_there_whoever_pushed() -> None:
    """One that a client cannot read keeps it from listing all the others."""
    services = [{"name": "S"}, {"name": "T", "service": None}, {"service": "x"}, "U"]
    bento = normalised({"services": services, "size_bytes": "7", "more": 1})

    assert bento["services"] == [{"service": "", "name": "S"}, {"service": "", "name": "T"}]
    assert (bento["service"], bento["bentoml_version"], bento["size_bytes"]) == ("", "", 0)
    assert bento["more"] == 1
    wanted = {"module": "m", "api_version": "", "bentoml_version": "", "size_bytes": 0}
    assert normalised({"module": "m"}, "model") == wanted


def test_what_a_client_sent_whole_comes_back_as_it_was() -> None:
    manifest = {
        "service": "s:S",
        "bentoml_version": "1.4.39",
        "size_bytes": 1,
        "services": [{"name": "S", "service": "", "dependencies": [], "config": {"x": 1}}],
    }

    assert normalised(manifest) == manifest


@pytest.mark.parametrize(
    "manifest",
    [
        {"services": "S"},
        {"services": {"S": {}}},
        {"services": ["S", 1, None]},
        {"services": [{"dependencies": "T", "models": "a:1"}]},
        {"services": [{"dependencies": 1, "models": [1, None, {}, {"tag": []}]}]},
        {"services": [{"models": [{"registry": "huggingface"}, {"tag": None}]}]},
        {"models": 5},
        {"models": {"a": 1}},
        {"models": [1, None, {"tag": "a:1"}]},
        {"metadata": "huggingface"},
        {"metadata": ["registry"]},
    ],
)
def test_a_manifest_of_any_form_can_be_shown(manifest: dict[str, object]) -> None:
    """One that cannot would hide every list it is in."""
    repository, version = version_of(manifest)

    assert full_view(repository, version)["models"] == []
    assert not version.lives_elsewhere
