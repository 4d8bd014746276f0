"""`kill -9` of the builder at random moments: nothing half, nothing left, the same bytes."""

import asyncio
import json
import random
from uuid import UUID

import pytest

from libs.chassis.postgres import Pool
from services.builder.domain import BuildView, Wish
from services.builder.oci import Remote
from tests.support.based import on_base
from tests.support.builder import ORG, Yard
from tests.support.builder_process import builder_process
from tests.support.faults import SEED
from tests.support.loops import eventually
from tests.support.nats import NatsServer
from tests.support.slow import Slow, slow_source

pytestmark = [
    pytest.mark.long,
    # the test's own registry: what a reader that was killed had open is closed by the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
_LONGEST = 0.2
"""Seconds in which such a build is complete: a kill later than that would meet nothing."""


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(10, marks=pytest.mark.timeout(120)),
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
async def test_a_build_whose_builder_was_killed_ends_as_if_nothing_had_been(
    yard: Yard, pool: Pool, database_url: str, nats_server: NatsServer, kills: int
) -> None:
    home, moments = await on_base(yard), random.Random(SEED)  # noqa: S311  # not a secret
    met, digests = 0, list[str | None]()
    async with builder_process(
        yard, database_url=database_url, pool=pool, nats=nats_server
    ) as builder:
        await builder.start()
        for number in range(kills):
            await yard.push(f"fox:v{number}", yard.wheel, f"# {number}")
            build = await yard.order(f"fox:v{number}", Wish())
            await begun(yard, build)
            await asyncio.sleep(moments.uniform(0.0, _LONGEST))
            builder.kill()
            met += (await yard.builds.one(ORG, build)).status == "running"
            await nothing_half(home, f"yatai.fox.v{number}")

            await builder.start()
            view = await built(yard, build)

            await nothing_half(home, f"yatai.fox.v{number}", complete=view.image_digest)
            assert builder.orphans() == 0
            digests.append(view.image_digest)
        anew = [await yard.order(f"fox:v{each}", Wish(no_cache=True)) for each in range(kills)]
        assert [(await built(yard, each)).image_digest for each in anew] == digests
    assert list((yard.folders.root / "work").iterdir()) == []
    assert met > kills / 4, f"seed {SEED}: only {met} of {kills} kills met a build"


async def test_tools_of_a_killed_builder_are_ended_by_the_next(
    yard: Yard, pool: Pool, database_url: str, nats_server: NatsServer
) -> None:
    slow = slow_source(yard.folder)
    async with builder_process(
        yard, database_url=database_url, pool=pool, nats=nats_server, ISOLATION="none"
    ) as builder:
        await builder.start()
        build = await yard.request(await yard.push("fox:v1", yard.wheel, slow.requirement))
        await eventually(slow.runs)
        builder.kill()
        assert builder.orphans() >= 3, "uv, what it runs, and what that runs"
        assert not slow.gone()
        first = slow.told.rename(slow.told.with_suffix(".first"))

        await builder.start()

        await eventually(slow.runs)
        assert Slow(slow.requirement, first).gone()
        assert (await yard.builds.one(ORG, build)).attempts == 2
        assert b"builds.leftovers_ended" in builder.log.read_bytes()


async def built(yard: Yard, build: UUID) -> BuildView:
    async with asyncio.timeout(30):
        while (view := await yard.builds.one(ORG, build)).status in {"queued", "running"}:
            await asyncio.sleep(0.02)
    assert view.status == "built", yard.log(build)
    return view


async def begun(yard: Yard, build: UUID) -> None:
    async with asyncio.timeout(10):
        while (await yard.builds.one(ORG, build)).status == "queued":
            await asyncio.sleep(0.01)


async def nothing_half(home: Remote, tag: str, *, complete: str | None = None) -> None:
    """Whatever has the tag is whole; and is ``complete``, if given."""
    found = await home.find("yatai-bentos", tag)
    assert complete is None or (found is not None and found.digest == complete)
    if found is not None:
        _, body = await home.manifest("yatai-bentos", found.digest)
        said = json.loads(body)
        for each in (said["config"], *said["layers"]):
            assert await home.has_blob("yatai-bentos", each["digest"])
