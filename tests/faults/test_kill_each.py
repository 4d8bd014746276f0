"""`kill -9` of every process in the middle of the main job: nothing lost, nothing twice."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.driver import BentoFiles
from tests.support.faults import (
    PROCESSES,
    SEED,
    assert_nothing_left,
    check_log,
    is_alive,
    job,
    kill_within,
)
from tests.support.platform import LocalPlatform, running

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
    assert_nothing_left(platform)


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


def test_down_after_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "home") as platform:
        told = platform.status()
        os.kill(told["supervisor"]["pid"], signal.SIGKILL)

        platform.down()

        pids = [each["pid"] for each in told["services"].values()]
        assert [pid for pid in pids if is_alive(pid)] == []
        assert_nothing_left(platform)


def test_up_after_a_killed_supervisor_copes_with_what_it_left(tmp_path: Path) -> None:
    with running(tmp_path / "home") as platform:
        os.kill(platform.status()["supervisor"]["pid"], signal.SIGKILL)

        platform.up()

        assert platform.request("GET", "/api/v1/current_org")[0] == 200
        states = {name: each["state"] for name, each in platform.status()["services"].items()}
        assert set(states.values()) == {"running"}, states
