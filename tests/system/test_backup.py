"""A backup made while the platform works is a platform again elsewhere."""

import json
import shutil
import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bentos import Client
from tests.support.driver import BentoFiles, Driver
from tests.support.platform import LocalPlatform, running


@pytest.fixture(scope="module")
def files(client: Client, echo: tuple[str, str]) -> BentoFiles:
    return BentoFiles(client.home / "bentos" / echo[0].replace(":", "/"))


@pytest.fixture(scope="module")
def backup(
    platform: LocalPlatform, files: BentoFiles, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Made while the platform runs, with a bento that is deployed."""
    driver = Driver(platform, platform.token)
    driver.push(files, "echo", "kept1")
    driver.deploy("echo:kept1", "kept")
    driver.wait("kept", "running")
    file = tmp_path_factory.mktemp("backup") / "platform.tar"
    told = json.loads(platform.yokocho("backup", str(file), "--json").stdout)
    assert told["size_bytes"] == file.stat().st_size
    return file


@pytest.fixture(scope="module")
def restored(
    platform: LocalPlatform, backup: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalPlatform]:
    """Another home beside the first one, both running."""
    home = tmp_path_factory.mktemp("restored") / "home"
    LocalPlatform(home).yokocho("restore", str(backup))
    with running(home) as other:
        assert other.port != platform.port
        yield other


def test_a_backup_is_as_private_as_a_home(backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with tarfile.open(backup) as tar:
        names = tar.getnames()
    assert not [name for name in names if "environments" in name or "nats" in name]


def test_everything_is_there_again_and_runs(
    platform: LocalPlatform, restored: LocalPlatform
) -> None:
    path = "/api/v1/bento_repositories/echo/bentos/kept1"
    assert restored.token == platform.token
    assert restored.request("GET", path)[1]["upload_status"] == "success"
    assert restored.request("GET", f"{path}/download")[0] == 200
    restored.wait_for_status("kept", "running")
    body = {"text": "hello"}
    assert restored.predict("kept", "say", body) == platform.predict("kept", "say", body)


def test_the_log_goes_on_where_it_was(platform: LocalPlatform, restored: LocalPlatform) -> None:
    before = [event["id"] for event in platform.events(type="bento.pushed")]
    after = [event["id"] for event in restored.events(type="bento.pushed")]
    assert after
    assert after == before[: len(after)]
    assert restored.request("GET", "/api/events/verify")[1]["intact"] is True


def test_what_happens_later_is_of_a_later_epoch(restored: LocalPlatform, files: BentoFiles) -> None:
    driver = Driver(restored, restored.token)
    driver.push(files, "echo", "kept2")
    epochs: dict[str, int] = {}
    deadline = time.monotonic() + 20
    while "kept2" not in epochs and time.monotonic() < deadline:
        epochs = {
            event["data"]["version"]: event["epoch"]
            for event in restored.events(type="bento.pushed")
        }
    assert epochs["kept1"] == 1
    assert epochs["kept2"] > 1_700_000_000


def test_a_home_that_is_down_is_backed_up_too(restored: LocalPlatform, tmp_path: Path) -> None:
    restored.down()
    restored.yokocho("backup", str(tmp_path / "down.tar"))
    other = LocalPlatform(tmp_path / "home")
    other.yokocho("restore", str(tmp_path / "down.tar"))
    shutil.rmtree(other.home)


@pytest.mark.parametrize(
    ("damage", "words"),
    [("cut", "whole backup"), ("flipped", "damaged"), ("absent", "not there")],
)
def test_what_is_no_whole_backup_restores_nothing(
    backup: Path, tmp_path: Path, damage: str, words: str
) -> None:
    raw = bytearray(backup.read_bytes())
    file = tmp_path / "bad.tar"
    if damage == "cut":
        file.write_bytes(raw[: len(raw) // 2])
    if damage == "flipped":
        raw[len(raw) // 2] ^= 1
        file.write_bytes(raw)
    other = LocalPlatform(tmp_path / "home")

    done = other.yokocho("restore", str(file), check=False)

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert {each.name for each in tmp_path.iterdir()} <= {"bad.tar"}


def test_a_home_is_never_written_over(platform: LocalPlatform, backup: Path) -> None:
    done = platform.yokocho("restore", str(backup), check=False)

    assert done.returncode == 1
    assert "is not empty" in done.stderr
