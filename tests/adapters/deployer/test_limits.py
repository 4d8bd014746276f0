"""Processes in real cgroups: what is asked for is kept, and told when it was too little."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from libs.chassis.cgroups import Limits
from libs.chassis.isolation import AUTO, Isolation, choose
from libs.chassis.process import identify, leftovers, stop_leftovers
from services.deployer.domain.deployment import Replica
from services.deployer.domain.resources import Resources
from services.deployer.plan import Phase
from services.deployer.targets import Enforcement, enforcement
from services.deployer.targets.probes import open_probes
from tests.adapters.deployer.conftest import MARKER, Lane, lane_in
from tests.adapters.deployer.test_local import fetch
from tests.support.loops import running

SMALL = Resources(memory_bytes=64 << 20, cpus=0.5)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Enforcement]:
    made = enforcement(f"{MARKER}-{tmp_path.name}")
    if missing := {name: why for name, why in made.refusals.items() if name != "gpu"}:
        pytest.skip(f"groups cannot be made here: {missing}")
    yield made
    assert names(made) == set(), "a group outlives its process"


@pytest.fixture
async def limited(tmp_path: Path, image: Path, kept: Enforcement) -> AsyncIterator[Lane]:
    async with open_probes() as probes:
        made = lane_in(tmp_path / "root", image, probes, enforcement=kept)
        async with running(made.target.run):
            yield made
            await stop_leftovers(leftovers(f"{MARKER}-{tmp_path.name}"), grace=timedelta(0))
            await kept.sweep(())


def names(made: Enforcement) -> set[str]:
    assert made.groups is not None
    return set(made.groups.found())


def members(made: Enforcement, replica: Replica) -> set[int]:
    assert made.groups is not None
    group = made.groups.found()[str(replica.id)]
    present = [set(map(int, each.read_text().split())) for each in group.entrances]
    assert all(each == present[0] for each in present)
    return present[0]


async def crashed(lane: Lane, replica: Replica) -> str:
    await lane.until(replica, lambda seen: seen.failures > 0 and seen.phase is Phase.DOWN)
    return lane.target.last_words(replica)


async def test_a_process_and_its_worker_are_in_its_group_until_they_end(
    limited: Lane, kept: Enforcement
) -> None:
    replica = limited.replica()
    limited.start(replica, resources=SMALL)
    await limited.ready(replica)
    pid = limited.target.glance(replica).pid
    assert pid is not None

    assert members(kept, replica) == {pid, *(each.pid for each in psutil.Process(pid).children())}
    limited.target.stop(replica)
    await limited.until(replica, lambda seen: seen.phase is Phase.GONE)
    assert names(kept) == set()


async def test_the_limits_are_those_that_were_asked_for(limited: Lane, kept: Enforcement) -> None:
    replica = limited.replica()
    limited.start(replica, resources=SMALL)

    assert kept.groups is not None
    group = kept.groups.found()[str(replica.id)]
    files = {each.name: each for folder in group.folders for each in folder.iterdir()}
    quota = files.get("cpu.max") or files["cpu.cfs_quota_us"]
    assert group.memory_bytes == 64 << 20
    assert quota.read_text().split()[0] == "50000"


async def test_who_asks_for_nothing_has_no_group(limited: Lane, kept: Enforcement) -> None:
    replica = limited.replica()
    limited.start(replica)
    await limited.ready(replica)

    assert names(kept) == set()


@pytest.mark.parametrize("behaviour", ["greedy", "greedy-worker"])
async def test_what_needs_more_memory_is_ended_with_the_reason(
    limited: Lane, behaviour: str
) -> None:
    """Of the whole group the kernel may have ended the worker alone."""
    replica = limited.replica()
    limited.start(replica, behaviour, resources=SMALL)

    words = await crashed(limited, replica)

    assert words.startswith("it needed more than its memory limit of 64Mi: ")
    assert "loading the weights" in words
    limited.start(replica, "import-crash", resources=SMALL)
    await limited.until(replica, lambda seen: seen.failures > 1 and seen.phase is Phase.DOWN)
    assert "memory limit" not in limited.target.last_words(replica), "it is of another attempt"


async def test_one_that_lost_a_child_to_its_limit_is_ended_whole(limited: Lane) -> None:
    """As on a cluster; others would wait for that child, and nobody would know why."""
    replica = limited.replica()
    limited.start(replica, resources=SMALL)
    await limited.ready(replica)

    status = await fetch(f"{replica.url}/take")

    assert status == str(-signal.SIGKILL)
    assert "memory limit of 64Mi" in await crashed(limited, replica)


async def test_only_what_can_be_is_enforced(tmp_path: Path, image: Path, kept: Enforcement) -> None:
    without = replace(kept, refusals={**kept.refusals, "memory": "a test says so"})
    async with open_probes() as probes:
        lane = lane_in(tmp_path / "root", image, probes, enforcement=without)
        async with running(lane.target.run):
            replica = lane.replica()
            lane.start(replica, resources=SMALL)
            await lane.ready(replica)
            assert kept.groups is not None
            assert kept.groups.found()[str(replica.id)].memory_bytes is None
            assert lane.target.unenforced["memory"] == "a test says so"
            lane.target.stop(replica)
            await lane.until(replica, lambda seen: seen.phase is Phase.GONE)


async def test_an_isolated_process_is_limited_and_adopted_as_such(
    tmp_path: Path, image: Path, kept: Enforcement
) -> None:
    isolation = await asyncio.to_thread(choose, AUTO, [tmp_path])
    if not isolation.isolates:
        pytest.skip(isolation.why)
    async with open_probes() as probes:
        first = lane_in(tmp_path / "root", image, probes, isolation=isolation, enforcement=kept)
        replica = first.replica()
        async with running(first.target.run):
            first.start(replica, "greedy", resources=SMALL)
            assert "memory limit of 64Mi" in await crashed(first, replica)
            first.start(replica, resources=SMALL)
            await first.ready(replica)
        pid = first.target.glance(replica).pid
        await _adopted(tmp_path, image, kept, replica, pid=pid, isolation=isolation)


async def test_a_later_target_finds_the_group_again(
    limited: Lane, tmp_path: Path, image: Path, kept: Enforcement
) -> None:
    replica = limited.replica()
    limited.start(replica, resources=SMALL)
    await limited.ready(replica)

    pid = limited.target.glance(replica).pid
    await _adopted(tmp_path, image, kept, replica, pid=pid, isolation=Isolation())


async def _adopted(
    root: Path,
    image: Path,
    kept: Enforcement,
    replica: Replica,
    *,
    pid: int | None,
    isolation: Isolation,
) -> None:
    async with open_probes() as probes:
        later = lane_in(root / "root", image, probes, isolation=isolation, enforcement=kept)
        async with running(later.target.run):
            await later.target.sweep({replica.id})
            await later.ready(replica)
            assert later.target.glance(replica).pid == pid
            assert pid in members(kept, replica)
            later.target.stop(replica)
            await later.until(replica, lambda seen: seen.phase is Phase.GONE)
            assert names(kept) == set()


async def test_groups_that_killed_deployers_left_go_and_those_of_others_stay(
    limited: Lane, tmp_path: Path, image: Path, kept: Enforcement
) -> None:
    others = enforcement(f"{MARKER}-another-{os.getpid()}")
    dead, stray = limited.replica(), limited.replica("Stray")
    for each in (dead, stray):
        limited.start(each, resources=SMALL)
    escaped = members(kept, stray)
    first = limited.target.glance(dead).pid
    assert first is not None
    os.killpg(first, signal.SIGKILL)
    (limited.folders.records / f"{stray.id}.json").unlink()
    assert others.groups is not None
    foreign = others.groups.make("theirs", Limits(memory_bytes=64 << 20))
    try:
        async with open_probes() as probes:
            later = lane_in(tmp_path / "root", image, probes, enforcement=kept)
            await later.target.sweep({dead.id, stray.id})
        assert names(kept) == set()
        assert [each for each in escaped if identify(each)] == []
        assert set(others.groups.found()) == {"theirs"}
    finally:
        foreign.remove()
