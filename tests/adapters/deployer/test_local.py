"""Processes of this machine: started, probed, restarted, adopted, ended whole."""

import asyncio
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from libs.chassis.process import identify, leftovers
from services.deployer.plan import ATTEMPTS, Phase
from services.deployer.targets.probes import open_probes
from tests.adapters.deployer.conftest import MARKER, Lane, lane_in
from tests.support.loops import running


async def fetch(url: str) -> str:
    def get() -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:  # loopback
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


async def test_it_becomes_ready_and_ends_whole(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)
    pid = lane.target.glance(replica).pid
    assert pid is not None
    family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    assert len(family) == 2

    lane.target.stop(replica)
    await lane.until(replica, lambda seen: seen.phase is Phase.GONE)

    assert [each for each in family if identify(each)] == []
    assert lane.woken
    lane.target.forget(replica)
    assert not lane.folders.work(replica).exists()
    assert "serving on" in lane.target.log_of(replica).read_text()


async def test_what_it_is_doing_is_finished(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)

    async with asyncio.TaskGroup() as group:
        answer = group.create_task(fetch(f"{replica.url}/slow"))
        await asyncio.sleep(0.3)
        lane.target.stop(replica)

    assert answer.result()


async def test_it_sees_nothing_of_ours(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKOCHO_DEPLOYER_POSTGRES__DSN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    replica = lane.replica()
    lane.start(replica, MINE="yes")
    await lane.ready(replica)

    seen: dict[str, str] = eval(await fetch(replica.url), {})  # noqa: S307  # our own server's

    assert "secret" not in seen.values()
    assert not [name for name in seen if name.startswith("YOKOCHO_")]
    assert seen["MINE"] == "yes"
    assert seen["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert "127.0.0.1" in seen["NO_PROXY"]
    assert seen["BENTOML_DO_NOT_TRACK"] == "True"
    assert seen["BENTOML_HOME"] == seen["HOME"] == str(lane.folders.work(replica))
    assert seen["LANE_MARKER"].endswith(":deployment")


async def test_a_crash_at_import_is_seen_with_its_words(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica, "import-crash")

    for attempt in range(1, ATTEMPTS + 1):
        down = await lane.until(
            replica, lambda seen: seen.phase is Phase.DOWN and seen.failures > 0
        )
        assert down.failures == attempt
        if attempt < ATTEMPTS:
            await lane.until(replica, lambda seen: seen.due)
            lane.start(replica, "import-crash")
            assert (await lane.look(replica)).phase is not Phase.READY

    words = lane.target.last_words(replica)
    assert "the weights are not where they should be" in words
    assert "exit status 1" in words


async def test_lost_workers_are_a_crash_although_the_server_lives(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica, "worker-crash")

    # Its supervisor looks after its workers every now and then only.
    await lane.until(
        replica, lambda seen: seen.failures == 1 and seen.phase is Phase.DOWN, seconds=60
    )

    assert "the worker broke" in lane.target.last_words(replica)
    assert leftovers(f"{MARKER}-{lane.folders.root.parent.name}") == []


async def test_one_that_no_longer_answers_is_ended(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica, "hang-after-ready")
    await lane.ready(replica)

    await lane.until(replica, lambda seen: seen.failures == 1 and seen.phase is Phase.DOWN)


async def test_one_that_is_never_ready_is_overdue(tmp_path: Path, image: Path) -> None:
    async with open_probes() as probes:
        lane = lane_in(tmp_path / "root", image, probes, start=0.5)
        async with running(lane.target.run):
            replica = lane.replica()
            lane.start(replica, "never-ready")
            seen = await lane.until(replica, lambda seen: seen.overdue)
            assert seen.phase is Phase.STARTING
            lane.target.stop(replica)
            await lane.until(replica, lambda seen: seen.phase is Phase.GONE)


async def test_a_later_target_adopts_what_runs_and_ends_what_nobody_knows(
    lane: Lane, tmp_path: Path, image: Path
) -> None:
    kept, stray = lane.replica(), lane.replica("Stray")
    for each in (kept, stray):
        lane.start(each)
        await lane.ready(each)
    pid, lost = lane.target.glance(kept).pid, lane.target.glance(stray).pid
    (lane.folders.records / f"{stray.id}.json").unlink()

    async with open_probes() as probes:
        later = lane_in(tmp_path / "root", image, probes)
        async with running(later.target.run):
            await later.target.sweep({kept.id})
            await later.ready(kept)

            assert later.target.glance(kept).pid == pid
            assert lost is not None
            assert identify(lost) is None
            await later.target.sweep({kept.id})
            assert (await later.look(kept)).phase is Phase.READY
            later.target.stop(kept)
            await later.until(kept, lambda seen: seen.phase is Phase.GONE)


async def test_a_killed_server_takes_its_worker_along(lane: Lane) -> None:
    replica = lane.replica()
    lane.start(replica)
    await lane.ready(replica)
    pid = lane.target.glance(replica).pid
    assert pid is not None
    [worker] = psutil.Process(pid).children()

    os.kill(pid, signal.SIGKILL)
    await lane.until(replica, lambda seen: seen.phase is Phase.DOWN)

    assert identify(worker.pid) is None
    with pytest.raises(urllib.error.URLError):
        await fetch(replica.url)
    lane.start(replica)
    await lane.ready(replica)


async def test_a_taken_port_is_not_chosen(lane: Lane) -> None:
    mine = lane.target.choose_port(set())
    with socket.create_server(("127.0.0.1", mine)):
        other = lane.target.choose_port(set(), preferred=mine)

    assert other != mine
    assert lane.target.choose_port(set(), preferred=mine) == mine
    assert lane.target.choose_port({other + 1}) != other + 1


async def test_what_cannot_be_started_has_a_reason(lane: Lane) -> None:
    (lane.image / "environment" / "bin" / "python").unlink()
    replica = lane.replica()

    lane.start(replica)

    seen = await lane.look(replica)
    assert (seen.phase, seen.failures) == (Phase.DOWN, 1)
    assert "cannot be started" in lane.target.last_words(replica)
