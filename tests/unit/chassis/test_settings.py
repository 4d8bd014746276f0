"""Settings: what is unknown is fatal, what is wrong is named, what is secret is not shown."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ServiceSettings, SettingsError

REQUIRED = {
    "YOKOCHO_STALL_POSTGRES__DSN": "postgresql://stall:hunter2@127.0.0.1/stall",
    "YOKOCHO_STALL_BUS__URL": "nats://stall:hunter2@127.0.0.1:4222",
    "YOKOCHO_STALL_HTTP__PORT": "23001",
    "YOKOCHO_STALL_IDENTITY__KEY_FILE": "/keys/stall.pem",
    "YOKOCHO_STALL_IDENTITY__PUBLIC_KEYS_FILE": "/keys/public.json",
}


class StallSettings(ServiceSettings):
    service: ClassVar[str] = "stall"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_STALL_")

    batch: int = Field(default=10, description="Portions per batch")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def complaint() -> str:
    with pytest.raises(SettingsError) as caught:
        StallSettings.load()
    return str(caught.value)


def test_groups_and_peers_come_from_nested_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKOCHO_STALL_PEERS__REGISTRY", "http://127.0.0.1:23002")
    monkeypatch.setenv("YOKOCHO_STALL_BATCH", "3")

    settings = StallSettings.load()

    assert settings.http.port == 23001
    assert settings.http.host == "127.0.0.1"
    assert settings.identity.key_file == Path("/keys/stall.pem")
    assert settings.peers == {"registry": "http://127.0.0.1:23002"}
    assert settings.batch == 3
    assert settings.postgres.dsn.get_secret_value() == REQUIRED["YOKOCHO_STALL_POSTGRES__DSN"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        pytest.param("YOKOCHO_STALL_BATHC", "YOKOCHO_STALL_BATCH", id="top-level"),
        pytest.param("YOKOCHO_STALL_HTTP__PROT", "YOKOCHO_STALL_HTTP__PORT", id="nested"),
        pytest.param(
            "YOKOCHO_STALL_POSTGRES_DSN", "YOKOCHO_STALL_POSTGRES__DSN", id="one-underscore"
        ),
        pytest.param("YOKOCHO_STALL_HTTP_PORT", "YOKOCHO_STALL_HTTP__PORT", id="not-a-link"),
    ],
)
def test_an_unknown_variable_is_fatal_and_its_neighbour_named(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv(given, "seven")

    said = complaint()

    assert f"{given}: no such setting" in said
    assert meant in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YOKOCHO_STALL_SERVICE_HOST", "10.0.0.7"),
        ("YOKOCHO_STALL_SERVICE_PORT", "80"),
        ("YOKOCHO_STALL_SERVICE_PORT_HTTP", "80"),
        ("YOKOCHO_STALL_PORT", "tcp://10.0.0.7:80"),
        ("YOKOCHO_STALL_PORT_80_TCP", "tcp://10.0.0.7:80"),
        ("YOKOCHO_STALL_PORT_80_TCP_PROTO", "tcp"),
        ("YOKOCHO_STALL_PORT_80_TCP_PORT", "80"),
        ("YOKOCHO_STALL_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("YOKOCHO_STALL_METRICS_SERVICE_HOST", "10.0.0.8"),
        ("YOKOCHO_OTHER_BATHC", "another service's"),
        ("YOKOCHO_HOME", "/var/lib/yokocho"),
    ],
)
def test_what_is_not_ours_is_tolerated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert StallSettings.load().batch == 10


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOKOCHO_STALL_BUS__URL")

    assert "YOKOCHO_STALL_BUS" in complaint()


def test_a_wrong_value_is_named_but_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKOCHO_STALL_HTTP__PORT", "hunter2")

    said = complaint()

    assert "YOKOCHO_STALL_HTTP__PORT" in said
    assert "hunter2" not in said


def test_a_group_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKOCHO_STALL_TELEMETRY", "{hunter2")

    said = complaint()

    assert "telemetry" in said
    assert "hunter2" not in said


def test_an_empty_variable_is_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKOCHO_STALL_TELEMETRY__OTLP_ENDPOINT", "")

    assert StallSettings.load().telemetry.otlp_endpoint is None


def test_secrets_do_not_show() -> None:
    assert "hunter2" not in repr(StallSettings.load())


def test_every_variable_is_described_for_the_generated_page() -> None:
    known = {each.name: each for each in StallSettings.variables()}

    batch = known["YOKOCHO_STALL_BATCH"]
    assert (batch.type, batch.default, batch.description) == ("integer", "10", "Portions per batch")
    assert known["YOKOCHO_STALL_POSTGRES__DSN"].default is None
    assert known["YOKOCHO_STALL_POSTGRES__DIRECT_DSN"].default == ""
    assert known["YOKOCHO_STALL_PEERS__<NAME>"].matches("YOKOCHO_STALL_PEERS__REGISTRY")
    assert known["YOKOCHO_STALL_TELEMETRY__LOG_FORMAT"].type == "`json`, `console`"
    assert [name for name, each in known.items() if not each.description] == []
