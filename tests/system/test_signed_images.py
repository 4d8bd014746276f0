"""Only what is signed runs where policy says so, from a push to an answer or a refusal."""

import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import Driver
from tests.support.imager import Imager
from tests.support.keys import key_pair
from tests.support.platform import LocalPlatform, running
from tests.support.tiny import tiny_container

pytestmark = [pytest.mark.timeout(200), pytest.mark.long]


def answers(platform: LocalPlatform, name: str) -> bool:
    with urllib.request.urlopen(f"{platform.endpoints_url}/default/{name}/", timeout=20) as answer:
        return bool(answer.status == 200)


def replace(platform: LocalPlatform, service: str) -> None:
    """By another process, which reads its files anew."""
    before = platform.pid(service)
    os.kill(before, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while platform.pid(service) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def failure(platform: LocalPlatform) -> dict[str, Any]:
    """What the log says of it, which hears of it a moment later."""
    deadline = time.monotonic() + 20
    while not (said := platform.events(type="deployment.failed")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [failed] = said
    return dict(failed["data"])


def test_what_runs_was_signed_by_a_key_that_is_believed(base_layout: Path, tmp_path: Path) -> None:
    """The key is ours at first. Then somebody else is believed."""
    private, public = key_pair()
    signing, believed = tmp_path / "signing.pem", tmp_path / "believed.pem"
    signing.write_bytes(private)
    believed.write_bytes(public)
    env = {
        "YOKOCHO_DEPLOYER_ISOLATION": "image",
        "YOKOCHO_DEPLOYER_REQUIRE_SIGNATURES": "true",
        "YOKOCHO_BUILDER_SIGNING_KEY_FILE": str(signing),
        "YOKOCHO_BUILDER_VERIFYING_KEYS_FILE": str(believed),
    }
    with running(tmp_path / "home", env=env) as platform:
        Imager(platform, tmp_path).bring(base_layout)
        driver = Driver(platform, platform.token)
        driver.push(tiny_container(tmp_path, "tiny"), "tiny", "v1")
        driver.deploy("tiny:v1", "ours")
        platform.wait_for_status("ours", "running", seconds=60)
        assert answers(platform, "ours")

        believed.write_bytes(key_pair()[1])
        replace(platform, "builder")
        driver.deploy("tiny:v1", "theirs")
        platform.wait_for_status("theirs", "failed", seconds=60)
        failed = failure(platform)
        assert answers(platform, "ours")

    assert failed["code"] == "image-not-trusted"
    assert failed["reason"].startswith("no signature of image sha256:")
