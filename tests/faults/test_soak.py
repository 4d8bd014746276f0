"""The long form: a person works with the real client while processes die at random moments."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import ECHO, Client, source
from tests.support.driver import Driver
from tests.support.faults import (
    PROCESSES,
    SEED,
    assert_nothing_left,
    check_log,
    kill_within,
    predict,
)
from tests.support.person import Person
from tests.support.platform import LocalPlatform, running

KILLS: Final = 10

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with running(tmp_path_factory.mktemp("soak") / "home") as platform:
        yield platform
    assert_nothing_left(platform)


@pytest.fixture(scope="module")
def person(platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory) -> Person:
    client = Client(client_python("1.4"), tmp_path_factory.mktemp("bentoml"))
    client.login(platform.url, platform.token)
    return Person(client)


@pytest.mark.parametrize("process", PROCESSES)
def test_ten_kills_at_random_moments(
    platform: LocalPlatform, person: Person, tmp_path: Path, process: str
) -> None:
    chance = random.Random(f"{SEED}-{process}-soak")  # noqa: S311  # not a secret
    driver = Driver(platform, platform.token)
    code = source(tmp_path / "echo", ECHO)
    for turn in range(KILLS):
        name = f"soak-{process}-{turn}"
        person.client.run("build", "--version", name, ".", cwd=code)
        timer = kill_within(platform, process, seconds=chance.uniform(0.0, 8.0))

        person.push(f"echo:{name}")
        person.deploy(f"echo:{name}", name)
        driver.wait(name, "running")

        assert predict(platform, name) == (200, "v1: hello")
        timer.join()
        check_log(platform, name)
        person.delete(name)
    print(f"seed {SEED}: {KILLS} kills of {process}, {len(person.complaints)} repeated by now")
