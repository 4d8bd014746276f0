"""A bento that tries to get at what is not its own: isolated it can nothing, otherwise much."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from libs.chassis.isolation import AUTO, NAMESPACE, Isolation, NotPossibleError, choice, choose
from libs.chassis.process import Command, identify, leftovers, stop_leftovers
from services.deployer.domain.deployment import Replica
from services.deployer.plan import Phase
from services.deployer.targets.launch import folders_of
from services.deployer.targets.probes import open_probes, workers
from tests.adapters.deployer.conftest import MARKER, SERVER, Lane, image_at, lane_in
from tests.support.loops import running

INTRUDER: Final = SERVER.with_name("intruder.py")
WAYS: Final = tuple(each for each in ("bwrap", "unshare") if shutil.which(each))
OPEN_TO_ANYBODY: Final = {
    "reads keys",
    "reads another image",
    "reads the database",
    "reads the environment of another process",
    "sees another process",
    "signals another process",
    "connects to a socket",
}
"""Whoever the platform runs as."""


@dataclass
class Platform:
    """What is there to be had."""

    home: Path
    targets: dict[str, Any]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    home = tmp_path
    paths = {
        "keys": home / "keys" / "sealing",
        "image": home / "builder" / "images" / "other" / "bento" / "bento.yaml",
        "database": home / "postgres" / "base" / "1",
    }
    for path in paths.values():
        path.parent.mkdir(parents=True)
        path.write_text("precious")
    at = home / "socket"
    victim = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "victim"], env={"VICTIM": "precious"}
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(at))
        listener.listen()
        targets = {
            **{name: str(path) for name, path in paths.items()},
            "socket": str(at),
            "victim": victim.pid,
            "program": "\0victim",
            "variable": "VICTIM=",
            "bento": str(home / "builder/images/own/bento"),
        }
        yield Platform(home, targets)
    assert victim.poll() is None
    victim.kill()
    victim.wait()


def isolated_by(way: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Isolation:
    if way == "none":
        return choose("none", [])
    monkeypatch.setattr(choice, "_WAYS", [each for each in choice._WAYS if each[0] == way])
    return choose(NAMESPACE, [home])


@pytest.fixture
async def lane(
    request: pytest.FixtureRequest, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Lane]:
    way, program = request.param
    async with open_probes() as probes:
        isolation = isolated_by(way, platform.home, monkeypatch)
        image = image_at(platform.home, program)
        made = lane_in(platform.home / "deployer", image, probes, isolation=isolation)
        async with running(made.target.run):
            yield made
        marker = f"{MARKER}-{platform.home.name}"
        await stop_leftovers(leftovers(marker), grace=timedelta(0))
        assert leftovers(marker) == []


def each_way(program: Path, *more: str) -> pytest.MarkDecorator:
    ways = (*WAYS, *more)
    return pytest.mark.parametrize(
        "lane", [(each, program) for each in ways], ids=ways, indirect=True
    )


async def ask(url: str) -> Any:
    def get() -> Any:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    return await asyncio.to_thread(get)


@each_way(INTRUDER)
async def test_an_intruder_can_nothing(lane: Lane, platform: Platform) -> None:
    replica = lane.replica()
    home = lane.folders.work(replica)
    home.mkdir(parents=True)
    (home / "tmp").symlink_to(platform.home / "keys")
    lane.start(replica, TARGETS=json.dumps(platform.targets))
    await lane.ready(replica)

    assert await ask(f"{replica.url}/try") == {"tried": 21, "succeeded": []}


@each_way(INTRUDER)
async def test_what_is_its_own_it_has(lane: Lane, platform: Platform) -> None:
    replica = lane.replica()
    lane.start(replica, files=(("given", "for its eyes"),), TARGETS=json.dumps(platform.targets))
    await lane.ready(replica)

    assert await ask(f"{replica.url}/may") == {"wrote": 3, "secret": "for its eyes"}


@pytest.mark.parametrize("lane", [("none", INTRUDER)], indirect=True)
async def test_without_isolation_the_intruder_can_much(lane: Lane, platform: Platform) -> None:
    replica = lane.replica()
    lane.start(replica, TARGETS=json.dumps(platform.targets))
    await lane.ready(replica)

    could = set((await ask(f"{replica.url}/try"))["succeeded"])

    assert could >= OPEN_TO_ANYBODY
    assert os.geteuid() != 0 or {"writes the system", "becomes root again"} <= could


@each_way(SERVER)
async def test_it_finishes_what_it_does_and_ends_whole(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)
    family = family_of(lane, replica)

    async with asyncio.TaskGroup() as group:
        answer = group.create_task(asyncio.to_thread(fetch, f"{replica.url}/slow"))
        await asyncio.sleep(0.3)
        lane.target.stop(replica)
        await lane.until(replica, lambda seen: seen.phase is Phase.GONE)

    assert answer.result()
    assert len(family) == 4
    assert [each for each in family if identify(each)] == []


@each_way(SERVER)
async def test_one_that_is_killed_outside_leaves_nothing_inside(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)
    family = family_of(lane, replica)

    os.kill(family[0], signal.SIGKILL)
    await lane.until(replica, lambda seen: seen.phase is Phase.DOWN and seen.failures == 1)

    assert [each for each in family if identify(each)] == []


@each_way(SERVER)
async def test_a_crash_is_seen_with_its_words(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica, "import-crash")
    await lane.until(replica, lambda seen: seen.phase is Phase.DOWN and seen.failures > 0)

    words = lane.target.last_words(replica)
    assert "the weights are not where they should be" in words
    assert "exit status 1" in words


@each_way(SERVER)
async def test_what_a_bento_is_told_stays_inside(lane: Lane) -> None:
    """LD_PRELOAD would have us load what it likes, as whoever we are, outside."""
    replica = lane.replica()
    lane.start(replica, LD_PRELOAD="/own/library.so", PASSWORD="words")
    await lane.ready(replica)
    waiting, *_, worker = (psutil.Process(each) for each in family_of(lane, replica))

    assert not {"LD_PRELOAD", "PASSWORD"} & waiting.environ().keys()
    assert "words" not in " ".join(waiting.cmdline())
    assert worker.environ()["PASSWORD"] == "words"


@each_way(SERVER)
async def test_it_is_adopted_with_its_workers_and_swept_when_unknown(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)
    family = family_of(lane, replica)

    async with another(lane) as next_one:
        await next_one.ready(replica)
        assert next_one.target.glance(replica).pid == family[0]
        assert workers(family[0], below=2) == {family[-1]}
    async with another(lane) as last:
        await last.target.sweep([])

    assert [each for each in family if identify(each)] == []


@each_way(SERVER)
async def test_one_that_was_started_before_isolation_is_not_left_as_it_is(lane: Lane) -> None:
    replica = lane.replica()
    async with another(lane, Isolation()) as earlier:
        earlier.start(replica)
        await earlier.ready(replica)
        [pid, _] = family_of(earlier, replica)

    async with another(lane) as later:
        await later.until(replica, lambda seen: seen.phase is Phase.DOWN and seen.due)
        assert identify(pid) is None
        later.start(replica)
        await later.ready(replica)
        assert len(family_of(later, replica)) == 4


def test_what_every_process_sees_cannot_hold_what_none_may_see() -> None:
    found = choose(AUTO, [Path("/usr/local/platform/keys")])

    assert not found.isolates
    assert "/usr/local/platform/keys lies in /usr" in found.why
    with pytest.raises(NotPossibleError, match=r"move it elsewhere.*ISOLATION=none"):
        choose(NAMESPACE, [Path("/usr/local/platform/keys")])


def test_where_no_way_works_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert choose(AUTO, []).why == "bwrap is not installed; unshare is not installed"


def test_an_interpreter_beside_what_is_private_is_refused(platform: Platform) -> None:
    """Its folder would be shown whole."""
    image = image_at(platform.home, SERVER)
    python = image / "environment" / "bin" / "python"
    python.unlink()
    interpreter = platform.home / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    python.symlink_to(interpreter)
    command = Command((str(python),), {}, platform.home / "deployer" / "work")
    isolation = choose(AUTO, [platform.home / "keys"])

    with (
        pytest.raises(PermissionError, match="which it may not see"),
        isolation.around(command, folders_of(image)),
    ):
        pass


def family_of(lane: Lane, replica: Replica) -> list[int]:
    """Who waits outside, process 1 inside, the server, its worker."""
    pid = lane.target.glance(replica).pid
    assert pid is not None
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


@asynccontextmanager
async def another(lane: Lane, isolation: Isolation | None = None) -> AsyncIterator[Lane]:
    """A target that begins where ``lane`` is."""
    chosen = isolation or lane.target._isolation
    async with open_probes() as probes:
        made = lane_in(lane.folders.root, lane.image, probes, isolation=chosen)
        async with running(made.target.run):
            yield made


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read())
