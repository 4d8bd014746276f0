"""A package that runs its code while it is built: isolated it can nothing, otherwise much."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.chassis.isolation import NAMESPACE, NONE, Isolation, choice, choose
from libs.chassis.postgres import Pool
from tests.support.builder import OTHER, Yard, building
from tests.support.packages import offered, source_archive, wheel_archive

pytestmark = pytest.mark.long

WAYS: Final = tuple(each for each in ("bwrap", "unshare") if shutil.which(each))
ATTEMPTS: Final = """
import glob, json, os

def tried(attempt):
    try:
        return bool(attempt())
    except OSError:
        return False

def read(path):
    with open(path, "rb") as file:
        return file.read()

def wrote(path):
    with open(path, "w") as file:
        file.write("mine")
    return True

said = json.dumps({
    "reads keys": tried(lambda: read(KEYS)),
    "reads another image": tried(lambda: read(IMAGE)),
    "reads the environment of another process": tried(lambda: read(f"/proc/{VICTIM}/environ")),
    "sees another process": tried(lambda: os.stat(f"/proc/{VICTIM}")),
    "writes the shared cache": tried(lambda: wrote(SHARED + "/planted")),
    "writes an environment": tried(lambda: wrote(IMAGE + "-planted")),
    "sees the home of the platform's user": tried(lambda: os.listdir(os.path.dirname(KEYS))),
})
said = "answers = " + repr(said)
"""


def isolated_by(way: str, private: Path, monkeypatch: pytest.MonkeyPatch) -> Isolation:
    if way == NONE:
        return choose(NONE, [])
    monkeypatch.setattr(choice, "_WAYS", [each for each in choice._WAYS if each[0] == way])
    return choose(NAMESPACE, [private])


@pytest.fixture
async def confined(
    request: pytest.FixtureRequest,
    pool: Pool,
    shelves: Pool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Yard]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "shared"))
    isolation = isolated_by(request.param, tmp_path, monkeypatch)
    async with building(pool, shelves, tmp_path, isolation=isolation) as yard:
        yield yard


def by(*ways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("confined", ways, indirect=True)


async def attack(yard: Yard) -> dict[str, bool]:
    """What the package could, of what is really there."""
    image = yard.folders.root / "images" / "others" / "bento.yaml"
    image.parent.mkdir(parents=True)
    image.write_text("precious")
    (yard.folder / "shared").mkdir(exist_ok=True)
    there = {
        "KEYS": str(yard.folder / "keys" / "builder.pem"),
        "IMAGE": str(image),
        "SHARED": str(yard.folder / "shared"),
        "VICTIM": os.getpid(),
    }
    told = "".join(f"{name} = {value!r}\n" for name, value in there.items())
    source = offered("thing-1.0.tar.gz", source_archive(told + ATTEMPTS))
    build = await yard.request(await yard.push("spy:v1", f"thing @ {source}", yard.wheel))
    done = await yard.ended(build)
    assert done.status == "built", yard.log(build)
    [found] = (yard.folders.root / "environments").glob("*/lib/python*/site-packages/thing.py")
    scope: dict[str, Any] = {}
    exec(found.read_text(), scope)  # noqa: S102 - ours
    answers: dict[str, bool] = json.loads(scope["answers"])
    return answers


@by(*WAYS)
async def test_a_package_that_is_built_gets_at_nothing(confined: Yard) -> None:
    answers = await attack(confined)

    assert len(answers) == 7
    assert not any(answers.values()), answers
    files = [each for each in (confined.folder / "shared").rglob("*") if "thing" in each.name]
    assert files == []


@by(NONE)
async def test_without_isolation_it_gets_at_much(confined: Yard) -> None:
    answers = await attack(confined)

    assert all(answers.values()), answers


@by(*WAYS)
async def test_what_it_made_belongs_to_the_platform_again(confined: Yard) -> None:
    await attack(confined)

    [environment] = (confined.folders.root / "environments").iterdir()
    owners = {each.lstat().st_uid for each in environment.rglob("*")}
    assert owners == {os.geteuid()}


@by(NONE)
async def test_with_several_organisations_nothing_is_built_unisolated(confined: Yard) -> None:
    source = offered("thing-1.0.tar.gz", source_archive())
    await confined.request(await confined.push("fox:v1"))
    theirs = await confined.request(
        await confined.push("spy:v1", f"thing @ {source}", confined.wheel, org=OTHER), org=OTHER
    )

    done = await confined.ended(theirs, org=OTHER)

    assert (done.status, done.code) == ("failed", "isolation-missing")
    assert "doctor" in str(done.reason)


@by(NONE)
async def test_what_a_wheel_would_have_python_run_is_not_run(confined: Yard) -> None:
    canary = confined.folder / "canary"
    line = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n"
    wheel = offered("thing-1.0-py3-none-any.whl", wheel_archive({"thing.pth": line}))
    build = await confined.request(
        await confined.push("spy:v1", f"thing @ {wheel}", confined.wheel)
    )

    done = await confined.ended(build)

    assert done.status == "built", confined.log(build)
    assert not canary.exists()
    [python] = (confined.folders.root / "environments").glob("*/bin/python")
    process = await asyncio.create_subprocess_exec(str(python), "-c", "")
    assert await process.wait() == 0
    assert canary.exists()


@by(NONE, *WAYS[:1])
async def test_a_wheel_does_not_replace_the_interpreter(confined: Yard) -> None:
    """What lies there is looked up, and its folder shown, when the model is started."""
    canary = confined.folder / "canary"
    files = {"thing-1.0.data/data/bin/python": f"#!/bin/sh\ntouch {canary}\n"}
    wheel = offered("thing-1.0-py3-none-any.whl", wheel_archive(files))
    build = await confined.request(
        await confined.push("spy:v1", f"thing @ {wheel}", confined.wheel)
    )

    done = await confined.ended(build)

    assert done.status == "failed", confined.log(build)
    assert done.code == "requirements-not-installable"
    assert not canary.exists()
