"""Isolation `image`, from a push to an answer: the model runs in what a cluster would run."""

import ast
import io
import tarfile
import urllib.request
from pathlib import Path

import pytest

from tests.support.driver import Driver
from tests.support.platform import running
from tests.support.tiny import tiny_container

pytestmark = [pytest.mark.timeout(200), pytest.mark.long]

OF_THE_MACHINE = Path("/etc/hostname")


def packed(layout: Path) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        tar.add(layout, arcname=".")
    return whole.getvalue()


def test_a_bento_answers_from_its_image_and_sees_nothing_of_the_machine(
    base_layout: Path, tmp_path: Path
) -> None:
    assert OF_THE_MACHINE.exists()
    there = (OF_THE_MACHINE, tmp_path / "home", Path(__file__))
    looks = f'export SEEN="$(ls -d {" ".join(map(str, there))} /etc/debian_version)"'
    files = tiny_container(tmp_path, "tiny", first=looks)
    env = {"YOKOCHO_DEPLOYER_ISOLATION": "image"}
    with running(tmp_path / "home", env=env) as platform:
        driver = Driver(platform, platform.token)
        path = "/api/base-images/import?reference=python:3.11-slim"
        assert driver._send("POST", path, packed(base_layout))[0] == 200
        driver.push(files, "tiny", "v1")
        driver.deploy("tiny:v1", "tiny")
        platform.wait_for_status("tiny", "running", seconds=60)
        address = f"{platform.endpoints_url}/default/tiny/"
        with urllib.request.urlopen(address, timeout=20) as answer:  # loopback
            told: dict[str, str] = ast.literal_eval(answer.read().decode())
        [built] = platform.events(type="image.built")

    assert told["SEEN"] == "/etc/debian_version"
    assert told["BENTOML_CONTAINERIZED"] == "true"
    assert told["VIRTUAL_ENV"] == "/app/.venv"
    assert built["data"]["kind"] == "oci"
    assert "/builder/unpacked/" in built["data"]["folder"]
