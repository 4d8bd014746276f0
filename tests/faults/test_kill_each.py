"""`kill -9` of every process in the middle of the main job: nothing lost, nothing twice."""

import collections
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.driver import BentoFiles, Driver
from tests.support.platform import LocalPlatform, running

PROCESSES: Final = ("registry", "builder", "deployer", "gateway", "events", "nats", "postgres")
SEED: Final = int(os.environ.get("FAULT_SEED", "7"))
SOAK_KILLS: Final = 10

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BentoFiles:
    client = Client(client_python("1.4"), tmp_path_factory.mktemp("bentoml"))
    tag = client.build(source(tmp_path_factory.mktemp("echo"), ECHO))
    return BentoFiles(client.home / "bentos" / tag.replace(":", "/"))


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, files: BentoFiles
) -> Iterator[LocalPlatform]:
    """A platform whose environment for the bento exists: kills then hit every step alike."""
    with running(tmp_path_factory.mktemp("faults") / "home") as platform:
        job(platform, files, "warm-up")
        yield platform


def job(platform: LocalPlatform, files: BentoFiles, name: str) -> Driver:
    """Push a new version, deploy it, wait, predict, delete."""
    driver = Driver(platform, platform.token)
    driver.push(files, "echo", name)
    driver.deploy(f"echo:{name}", name)
    driver.wait(name, "running")
    answer = predict(platform, name)
    assert answer == (200, "v1: hello"), answer
    return driver


def predict(platform: LocalPlatform, name: str) -> tuple[int, Any]:
    """A prediction; a caller's connection that died with the gateway is made again."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            answer = platform.predict(name, "say", {"text": "hello"})
            if answer[0] == 200 or time.monotonic() > deadline:
                return answer
        time.sleep(0.1)


def kill_within(platform: LocalPlatform, process: str, *, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (platform.pid(process), signal.SIGKILL))
    timer.start()
    return timer


def check_log(platform: LocalPlatform, name: str) -> None:
    """Each fact of the job is in the log once and the chain is whole."""
    deadline = time.monotonic() + 30
    while True:
        events = platform.events()
        said = collections.Counter(
            event["type"].split(".", 2)[2]
            for event in events
            if name in {event["data"].get("version"), event["data"].get("deployment")}
        )
        if said["deployment.routed.v1"] or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    assert said["bento.pushed.v1"] == 1, said
    assert said["deployment.requested.v1"] == 1, said
    assert said["deployment.ready.v1"] >= 1, said
    assert platform.request("GET", "/api/events/verify")[1]["intact"] is True


@pytest.mark.parametrize("process", PROCESSES)
def test_one_kill_in_the_middle_of_the_main_job(
    platform: LocalPlatform, files: BentoFiles, process: str
) -> None:
    moment = random.Random(f"{SEED}-{process}").uniform(0.05, 3.0)  # noqa: S311  # not a secret
    name = f"kill-{process}"
    timer = kill_within(platform, process, seconds=moment)

    driver = job(platform, files, name)
    timer.join()

    print(f"seed {SEED}: {process} killed after {moment:.2f} s, repeated {driver.repeated}")
    check_log(platform, name)


@pytest.mark.soak
@pytest.mark.parametrize("process", PROCESSES)
def test_ten_kills_at_random_moments(
    platform: LocalPlatform, files: BentoFiles, process: str
) -> None:
    chance = random.Random(f"{SEED}-{process}-soak")  # noqa: S311  # not a secret
    for turn in range(SOAK_KILLS):
        name = f"soak-{process}-{turn}"
        timer = kill_within(platform, process, seconds=chance.uniform(0.0, 6.0))
        job(platform, files, name)
        timer.join()
        check_log(platform, name)
        platform.request("DELETE", f"/api/v2/deployments/{name}?cluster=default")


def is_alive(pid: int) -> bool:
    """A zombie has ended: nobody on this machine may be there to collect it."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_down_after_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "home") as platform:
        told = platform.status()
        os.kill(told["supervisor"]["pid"], signal.SIGKILL)

        platform.down()

        pids = [each["pid"] for each in told["services"].values()]
        assert [pid for pid in pids if is_alive(pid)] == []
        for port in (platform.port, platform.port + 1):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_up_after_a_killed_supervisor_copes_with_what_it_left(tmp_path: Path) -> None:
    with running(tmp_path / "home") as platform:
        os.kill(platform.status()["supervisor"]["pid"], signal.SIGKILL)

        platform.up()

        assert platform.request("GET", "/api/v1/current_org")[0] == 200
        states = {name: each["state"] for name, each in platform.status()["services"].items()}
        assert set(states.values()) == {"running"}, states
