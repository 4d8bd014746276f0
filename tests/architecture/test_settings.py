"""Settings are described, prefixed, and told by the supervisor under the names that are read."""

from pathlib import Path

import pytest

from cli.home import INTERNAL, SERVICES, Home, Identity
from cli.supervisor.layout import Layout
from docs.generate.settings import services
from libs.chassis.settings import ServiceSettings

_SETTINGS = list(services())


@pytest.fixture
def layout() -> Layout:
    words = dict.fromkeys(("postgres", "admin", *SERVICES), "word")
    identity = Identity("home", ports={name: 20000 + at for at, name in enumerate(INTERNAL)})
    return Layout(Home(Path("/nowhere")), identity, "marker", {"postgres": words, "nats": words})


def test_every_service_has_settings() -> None:
    assert {each.service for each in _SETTINGS} == set(SERVICES)


@pytest.mark.parametrize("settings", _SETTINGS, ids=lambda each: each.service)
def test_every_setting_is_described(settings: type[ServiceSettings]) -> None:
    assert [each.name for each in settings.variables() if not each.description] == []


@pytest.mark.parametrize("settings", _SETTINGS, ids=lambda each: each.service)
def test_what_the_supervisor_says_can_be_read(
    settings: type[ServiceSettings], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in layout.service_environment(settings.service).items():
        monkeypatch.setenv(name, value)

    assert settings.load().service == settings.service
