"""Children as they really are: sessions, orphans, reused numbers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from libs.chassis.process import (
    Command,
    Process,
    adopt,
    identify,
    leftovers,
    load_records,
    register,
    spawn,
    stop_leftovers,
)

GRACE = timedelta(seconds=2)
FAMILY = """
import os, subprocess, sys, time
inner = "import time; time.sleep(60)"
near = subprocess.Popen([sys.executable, "-c", inner])
far = subprocess.Popen([sys.executable, "-c", inner], start_new_session=True)
print(near.pid, far.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import sys, time
from pathlib import Path
from libs.chassis.process import Command, spawn
folder, marker = Path(sys.argv[1]), sys.argv[2]
command = Command((sys.executable, "-c", "import time; time.sleep(60)"), {}, folder)
spawn(folder, "orphan", command, log=folder / "orphan.log", marker=marker)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
async def marker() -> AsyncIterator[str]:
    """A mark of this test's own, whose bearers do not survive it."""
    mark = uuid4().hex
    yield mark
    await stop_leftovers(leftovers(mark), grace=timedelta(0))


def start(folder: Path, marker: str, code: str, *arguments: str) -> Process:
    env = {"HOME": "/", "PYTHONPATH": str(Path.cwd())} if arguments else {"HOME": "/"}
    command = Command((sys.executable, "-c", code, *arguments), env, folder)
    return spawn(folder, "child", command, log=folder / "child.log", marker=marker)


async def said(folder: Path, name: str = "child") -> str:
    async with asyncio.timeout(10):
        while not (text := (folder / f"{name}.log").read_text()).endswith("\n"):
            await asyncio.sleep(0.02)
    return text


async def test_a_child_gets_only_the_environment_that_it_is_given(
    tmp_path: Path, marker: str
) -> None:
    child = start(tmp_path, marker, "import os; print(sorted(os.environ))")

    status = await child.wait()

    assert status == 0
    assert "'HOME', 'LANE_MARKER', 'LANE_PROCESS'" in await said(tmp_path)
    assert "PATH" not in await said(tmp_path)


async def test_stop_reaches_grandchildren_that_left_the_session(
    tmp_path: Path, marker: str
) -> None:
    child = start(tmp_path, marker, FAMILY)
    near, far = map(int, (await said(tmp_path)).split())

    await child.stop(GRACE)

    assert not child.alive()
    assert identify(near) is None
    assert identify(far) is None
    assert load_records(tmp_path) == []


async def test_stop_reaches_grandchildren_of_a_child_that_is_gone(
    tmp_path: Path, marker: str
) -> None:
    child = start(tmp_path, marker, FAMILY)
    near, far = map(int, (await said(tmp_path)).split())
    os.kill(child.pid, signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL

    await child.stop(GRACE)

    assert identify(near) is None
    assert identify(far) is None


async def test_what_ignores_the_request_is_killed_after_the_grace(
    tmp_path: Path, marker: str
) -> None:
    child = start(tmp_path, marker, STUBBORN)
    await said(tmp_path)

    status = await child.stop(timedelta(seconds=0.3))

    assert status == -signal.SIGKILL


async def test_a_child_is_adopted_after_its_parent_was_killed(tmp_path: Path, marker: str) -> None:
    parent = start(tmp_path / "run", marker, PARENT, str(tmp_path), f"{marker}:deployment")
    await said(tmp_path / "run")
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()

    [record] = load_records(tmp_path)
    orphan = adopt(record)

    assert orphan is not None
    assert orphan.alive()
    assert [each.marker for each in leftovers(f"{marker}:deployment")] == [f"{marker}:deployment"]
    await orphan.stop(GRACE)
    assert adopt(record) is None
    assert leftovers(marker) == []


async def test_the_exit_of_an_adopted_process_is_noticed(tmp_path: Path, marker: str) -> None:
    start(tmp_path, marker, "import time; time.sleep(0.3)")
    [record] = load_records(tmp_path)
    adopted = adopt(record)
    assert adopted is not None

    async with asyncio.timeout(5):
        status = await adopted.wait()

    assert status is None


async def test_leftovers_of_another_marker_are_nobodys_business(
    tmp_path: Path, marker: str
) -> None:
    child = start(tmp_path, f"{marker}x", "import time; time.sleep(60)")

    found = leftovers(marker)

    assert found == []
    await child.stop(timedelta(0))


@pytest.mark.parametrize("change", [{"started": 1}, {"boot_id": "another boot"}])
async def test_a_reused_number_is_neither_adopted_nor_killed(
    tmp_path: Path, marker: str, change: dict[str, int | str]
) -> None:
    child = start(tmp_path, marker, "import time; time.sleep(60)")
    [record] = load_records(tmp_path)
    stale = replace(record, token="", **change)  # type: ignore[arg-type]  # two kinds of field

    adopted = adopt(stale)
    await Process(stale, None).stop(timedelta(0))

    assert adopted is None
    assert child.alive()
    await child.stop(timedelta(0))


async def test_a_process_that_another_started_can_be_recorded(tmp_path: Path, marker: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        registered = register(tmp_path, "other", other.pid, marker=marker, argv=())
        assert registered is not None
        assert registered.alive()
        other.kill()
        other.wait()

        gone = register(tmp_path, "other", other.pid, marker=marker, argv=())

    assert gone is None
    assert not registered.alive()


def test_a_torn_record_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"name": "torn", "pid"')
    (tmp_path / "foreign.json").write_text("[]")

    assert load_records(tmp_path) == []
