"""What the deployer's environment may not say."""

import pytest

from libs.chassis.settings import SettingsError
from services.deployer.settings import Settings

_TOLD = {
    "POSTGRES__DSN": "postgresql://deployer@127.0.0.1/deployer",
    "BUS__URL": "nats://127.0.0.1:1",
    "HTTP__PORT": "0",
    "IDENTITY__KEY_FILE": "key",
    "IDENTITY__PUBLIC_KEYS_FILE": "keys",
    "ROOT": "root",
    "MARKER": "marker",
    "PUBLIC_URL": "http://127.0.0.1:1",
    "REQUIRE_SIGNATURES": "true",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in _TOLD.items():
        monkeypatch.setenv(f"YOKOCHO_DEPLOYER_{name}", value)
    return monkeypatch


@pytest.mark.parametrize("isolation", ["auto", "none", "namespace"])
def test_signatures_are_required_of_images_alone(told: pytest.MonkeyPatch, isolation: str) -> None:
    told.setenv("YOKOCHO_DEPLOYER_ISOLATION", isolation)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith("YOKOCHO_DEPLOYER_REQUIRE_SIGNATURES: ")
    assert "YOKOCHO_DEPLOYER_ISOLATION=image" in str(caught.value)


def test_where_images_run_signatures_may_be_required(told: pytest.MonkeyPatch) -> None:
    told.setenv("YOKOCHO_DEPLOYER_ISOLATION", "image")
    assert Settings.load().require_signatures
