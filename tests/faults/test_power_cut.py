"""The power goes while bentos are pushed and deployed: everything acknowledged is there after."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support import loopfs
from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.driver import BentoFiles, CommandError, Driver
from tests.support.platform import LocalPlatform, running

SEED = int(os.environ.get("FAULT_SEED", "11"))
pytestmark = pytest.mark.timeout(600)


@dataclass(slots=True)
class Acknowledged:
    """What the platform said 200 to before the lights went out."""

    pushed: list[str] = field(default_factory=list)
    deployed: list[str] = field(default_factory=list)


def work(driver: Driver, files: BentoFiles, done: Acknowledged, stop: threading.Event) -> None:
    turn = 0
    while not stop.is_set():
        version = f"cut{turn}"
        with suppress(CommandError, OSError):
            driver.push(files, "echo", version)
            done.pushed.append(version)
            if turn in {1, 5}:  # a model is a process or three: a few prove as much as many
                driver.deploy(f"echo:{version}", version)
                done.deployed.append(version)
        turn += 1


def freeze(platform: LocalPlatform) -> list[psutil.Process]:
    """Stop every process of the platform at one moment, as a power cut would."""
    marker = platform.status()
    roots = [psutil.Process(marker["supervisor"]["pid"])]
    roots += [psutil.Process(each["pid"]) for each in marker["services"].values()]
    everyone = {each.pid: each for root in roots for each in [root, *root.children(recursive=True)]}
    for each in everyone.values():
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGSTOP)
    return list(everyone.values())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    loopfs.require_loop_devices()
    return loopfs.make(tmp_path / "disk.img", megabytes=3000)


def cut(image: Path, tmp_path: Path, files: BentoFiles, *, after: float) -> Acknowledged:
    """Run the platform on ``image`` under load, cut the power, leave the copy ``after.img``."""
    done, stop = Acknowledged(), threading.Event()
    with loopfs.mounted(image, tmp_path / "disk") as disk, running(disk / "home") as platform:
        driver = Driver(platform, platform.token, patience=2)  # nobody comes back here
        worker = threading.Thread(target=work, args=(driver, files, done, stop), daemon=True)
        worker.start()
        time.sleep(after)
        acknowledged = Acknowledged(list(done.pushed), list(done.deployed))
        frozen = freeze(platform)
        stop.set()
        loopfs.what_reached_the_disk(image, tmp_path / "after.img")
        for each in frozen:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)
                each.kill()
        worker.join(timeout=90)
    return acknowledged


def test_everything_acknowledged_survives(image: Path, tmp_path: Path) -> None:
    client = Client(client_python("1.4"), tmp_path / "bentoml")
    tag = client.build(source(tmp_path / "echo", ECHO))
    files = BentoFiles(client.home / "bentos" / tag.replace(":", "/"))
    moment = random.Random(SEED).uniform(4.0, 9.0)  # noqa: S311  # not a secret

    done = cut(image, tmp_path, files, after=moment)

    print(
        f"seed {SEED}: {len(done.pushed)} pushed, {len(done.deployed)} deployed at {moment:.1f} s"
    )
    assert done.pushed, "the cut came before anything was acknowledged"
    after = tmp_path / "after.img"
    with loopfs.mounted(after, tmp_path / "disk") as disk, running(disk / "home") as platform:
        for version in done.pushed:
            path = f"/api/v1/bento_repositories/echo/bentos/{version}"
            assert platform.request("GET", path)[1]["upload_status"] == "success"
            status, _ = platform.request("GET", f"{path}/download")
            assert status == 200, version
        for name in done.deployed:
            platform.wait_for_status(name, "running", seconds=180)
        said = [event["data"].get("version") for event in platform.events(type="bento.pushed")]
        assert set(done.pushed) <= set(said)
        assert len(said) == len(set(said))
        assert platform.request("GET", "/api/events/verify")[1]["intact"] is True
