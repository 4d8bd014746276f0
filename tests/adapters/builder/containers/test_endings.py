"""However a build ends, nothing of it runs on, and the next one starts clean."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from libs.chassis.process import leftovers
from services.builder.containers import BuildahUnavailableError, Limits
from services.builder.containers.child import marker_of
from services.builder.errors import BuildFailedError
from tests.support.buildah import Bench, started

ROOT = Path(__file__).parents[4]
TOKEN = "hunter2-token-value"
_SLEEP = 10_000_000 + os.getpid()
"""Seconds that nothing else on this machine sleeps; the second one left its session."""

ENDLESS = (
    f"RUN --mount=type=secret,id=token cat /run/secrets/token > /kept; sleep {_SLEEP} & "
    f"setsid sleep {_SLEEP} & echo begun; wait"
)


def _sleeping() -> list[int]:
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if str(_SLEEP) in each.cmdline():
                found.append(each.pid)
    return found


def _left(root: Path) -> list[str]:
    """Folders of builds, containers, mounts and control groups."""
    groups = Path("/sys/fs/cgroup").glob(f"**/yokocho-build-{os.getpid()}-*")
    containers = root.glob("storage/*/overlay-containers/*/userdata")
    mounts = [each.mountpoint for each in psutil.disk_partitions(all=True)]
    mounted = [each for each in mounts if str(root) in each]
    return [*map(str, (root / "builds").iterdir()), *map(str, (*groups, *containers)), *mounted]


async def _begun(bench: Bench, building: asyncio.Task[object]) -> None:
    while "begun" not in bench.lines:
        assert not building.done(), building
        await asyncio.sleep(0.02)


async def test_a_cancelled_build_leaves_nothing(bench: Bench, storage: Path) -> None:
    recipe = bench.recipe(ENDLESS, secrets={"token": TOKEN})
    building = asyncio.create_task(bench.build(recipe, limits=Limits(60, processes=500)))
    async with asyncio.timeout(30):
        await _begun(bench, building)
        assert len(_sleeping()) == 2
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
    assert _sleeping() == []
    assert leftovers(marker_of(storage)) == []
    assert _left(storage) == []


async def test_a_build_that_takes_too_long_is_ended(bench: Bench, storage: Path) -> None:
    recipe = bench.recipe(ENDLESS, secrets={"token": TOKEN})
    with pytest.raises(BuildFailedError, match="not built within 3 s") as failed:
        await bench.build(recipe, limits=Limits(3))
    assert failed.value.code == "image-build-timed-out"
    assert _sleeping() == []
    assert _left(storage) == []


_PARENT = """
import asyncio, sys
from pathlib import Path
from services.builder.containers import Buildah, Limits, Recipe

async def main(root, context, base):
    buildah = Buildah(Path(root))
    await buildah.start()
    files = (Path(context), Path(context, "Dockerfile"), Path(base))
    recipe = Recipe(*files, secrets={"token": "x" * 9})
    into = Path(context).with_name("never")
    say = lambda line: print(line, flush=True)
    await buildah.build(recipe, into=into, log=say, limits=Limits(60, memory_bytes=2 << 30))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.usefixtures("bench")
async def test_a_killed_service_leaves_no_process_and_its_folders_are_cleaned_at_the_next_start(
    tmp_path: Path, small_layout: Path
) -> None:
    root = tmp_path / "root"
    async with started(root) as buildah:
        recipe = Bench(buildah, tmp_path, small_layout).recipe(ENDLESS)
    argv = [sys.executable, "-c", _PARENT, str(root), str(recipe.context), str(small_layout)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        assert any(line == "begun\n" for line in parent.stdout)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (_sleeping() or leftovers(marker_of(root))) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert _sleeping() == []
    assert leftovers(marker_of(root)) == []
    assert list((root / "builds").iterdir())
    async with started(root) as buildah:
        assert _left(root) == []
        (tmp_path / "again").mkdir()
        bench = Bench(buildah, tmp_path / "again", small_layout)
        assert (await bench.build(bench.recipe("RUN echo again"))).digest
    assert not list(Path("/sys/fs/cgroup").glob(f"**/yokocho-build-{parent.pid}-*"))


@pytest.mark.usefixtures("bench")
async def test_two_builders_do_not_share_a_folder(storage: Path) -> None:
    with pytest.raises(BuildahUnavailableError, match="another builder"):
        async with started(storage):
            pass


async def test_builds_beside_each_other_do_not_share_a_storage(bench: Bench, storage: Path) -> None:
    recipes = [bench.recipe(f"RUN echo {number} > /n") for number in range(2)]
    one, two = await asyncio.gather(*(bench.build(each) for each in recipes))
    assert one.digest != two.digest
    assert len(list((storage / "storage").iterdir())) == 2
