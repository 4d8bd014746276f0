"""Passing troubles put a build off, and it says so; lasting ones end it."""

import errno
from datetime import UTC, datetime, timedelta

import pytest

from libs.chassis.lifecycle import Wake
from libs.chassis.postgres import DatabaseUnavailableError, Pool
from services.builder.controller import Lanes, Worker
from services.builder.domain import Image, Wish
from services.builder.environments import Children
from services.builder.errors import (
    BuilderFullError,
    BuildFailedError,
    BuildNotFoundError,
    IndexUnreachableError,
    RegistryFullError,
    RegistryUnreachableError,
)
from services.builder.service import Job, Making
from tests.support.based import REFERENCE, WHO, on_base
from tests.support.builder import ORG, PYTHON, Yard

DIGEST = "sha256:" + "0" * 64
AWAY = RegistryUnreachableError("r", "503")
FULL = RegistryFullError("r", "507")
DENIED = BuildFailedError("registry-denied", "403")
TIRED = RegistryUnreachableError("r", "429", retry_after=timedelta(seconds=100))
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


class Failing:
    """A strategy that meets ``trouble``, always."""

    def __init__(self, trouble: Exception) -> None:
        self._trouble = trouble

    async def make(self, job: Job) -> Image:
        del job
        raise self._trouble


def failing(yard: Yard, trouble: Exception) -> Worker:
    making = Making(
        yard.builds,
        {"environment": Failing(trouble)},
        registry=yard.shop.registry,
        folders=yard.folders,
        children=Children("test:build"),
        live=yard.live,
    )
    house = yard.shop.housekeeping
    return Worker(
        yard.builds,
        making,
        housekeeping=house,
        attesting=yard.shop.attesting,
        lanes=Lanes(),
        wake=Wake(),
    )


@pytest.mark.parametrize(
    ("trouble", "code", "pause"),
    [
        pytest.param(AWAY, "registry-unreachable", 1, id="registry-away"),
        pytest.param(FULL, "registry-full", 1, id="registry-full"),
        pytest.param(TIRED, "registry-unreachable", 100, id="registry-tired"),
        pytest.param(IndexUnreachableError("x"), "index-unreachable", 1, id="index"),
        pytest.param(DatabaseUnavailableError(OSError()), "database-unavailable", 1, id="database"),
        pytest.param(NO_ROOM, "builder-full", 1, id="disk"),
        pytest.param(BuilderFullError("x"), "builder-full", 1, id="uvs-disk"),
        pytest.param(ExceptionGroup("", [AWAY, FULL]), "registry-unreachable", 1, id="several"),
    ],
)
async def test_a_passing_trouble_puts_the_build_off(
    yard: Yard, trouble: Exception, code: str, pause: int
) -> None:
    build = await yard.request(DIGEST)

    assert await failing(yard, trouble).turn()

    view = await yard.builds.one(ORG, build)
    assert (view.status, view.attempts, view.code) == ("queued", 1, None)
    assert view.due_at is not None
    wait = (view.due_at - datetime.now(UTC)).total_seconds()
    assert pause - 1 < wait <= pause
    assert code in yard.log(build)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        pytest.param(DENIED, "registry-denied", id="denied"),
        pytest.param(ExceptionGroup("", [AWAY, DENIED]), "registry-denied", id="several"),
        pytest.param(BuildNotFoundError("x"), "build-not-found", id="refusal"),
        pytest.param(OSError(errno.EACCES, "no"), "build-crashed", id="defect"),
    ],
)
async def test_a_lasting_trouble_ends_the_build(yard: Yard, trouble: Exception, code: str) -> None:
    build = await yard.request(DIGEST)

    assert await failing(yard, trouble).turn()

    view = await yard.builds.one(ORG, build)
    assert (view.status, view.code, view.attempts) == ("failed", code, 1)


@pytest.mark.parametrize(
    ("trouble", "attempts", "status"),
    [(AWAY, 59, "queued"), (AWAY, 60, "failed"), (IndexUnreachableError("x"), 3, "failed")],
)
async def test_attempts_have_an_end(
    yard: Yard, pool: Pool, trouble: Exception, attempts: int, status: str
) -> None:
    build = await yard.request(DIGEST)
    await pool.execute("UPDATE build SET attempts = $1 - 1", attempts)

    assert await failing(yard, trouble).turn()

    assert (await yard.builds.one(ORG, build)).status == status


async def test_a_build_that_its_builder_died_of_again_and_again_fails(
    yard: Yard, pool: Pool
) -> None:
    build = await yard.request(DIGEST)
    await pool.execute("UPDATE build SET attempts = 60")

    view = await yard.ended(build)

    assert (view.status, view.code) == ("failed", "build-crashed")


@pytest.mark.skipif(PYTHON != "3.11", reason="the base image has Python 3.11")
async def test_a_registry_that_is_away_while_layers_are_placed_is_asked_again(yard: Yard) -> None:
    home = await on_base(yard)
    await yard.push("fox:v1")
    base = await yard.shop.bases.require(WHO, REFERENCE, "linux/amd64")
    yard.away.add(base.layers[0].digest)
    build = await yard.order("fox:v1", Wish())

    assert await yard.worker.turn()

    view = await yard.builds.one(ORG, build)
    assert (view.status, view.attempts) == ("queued", 1), yard.log(build)
    assert "registry-unreachable" in yard.log(build)
    assert await home.find("yatai-bentos", "yatai.fox.v1") is None
    yard.away.clear()
    assert (await yard.ended(build)).status == "built"
