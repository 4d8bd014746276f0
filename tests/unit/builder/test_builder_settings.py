"""What the builder's environment may not say."""

import pytest

from libs.chassis.settings import SettingsError
from services.builder.settings import Settings

_TOLD = {
    "POSTGRES__DSN": "postgresql://builder@127.0.0.1/builder",
    "BUS__URL": "nats://127.0.0.1:1",
    "HTTP__PORT": "0",
    "IDENTITY__KEY_FILE": "key",
    "IDENTITY__PUBLIC_KEYS_FILE": "keys",
    "ROOT": "root",
    "PEERS": '{"registry": "http://127.0.0.1:1", "deployer": "http://127.0.0.1:1"}',
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in _TOLD.items():
        monkeypatch.setenv(f"YOKOCHO_BUILDER_{name}", value)
    return monkeypatch


def test_layers_stay_on_the_disk_unless_something_else_is_said(told: pytest.MonkeyPatch) -> None:
    told.setenv("YOKOCHO_BUILDER_COMMANDS__NETWORK", "none")
    assert Settings.load().commands.cache == "local"


def test_without_a_network_no_layers_are_shared(told: pytest.MonkeyPatch) -> None:
    told.setenv("YOKOCHO_BUILDER_COMMANDS__CACHE", "registry")
    assert Settings.load().commands.cache == "registry"
    told.setenv("YOKOCHO_BUILDER_COMMANDS__NETWORK", "none")
    with pytest.raises(SettingsError, match="cannot be reached with the network `none`"):
        Settings.load()
