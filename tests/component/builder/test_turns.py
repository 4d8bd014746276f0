"""Whose turn it is: no organisation holds up another, nor does what nobody waits for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from libs.chassis.context import Cause, bound
from libs.chassis.isolation import AUTO, choose
from libs.chassis.postgres import Database, Pool
from services.builder.controller import Lanes
from services.builder.domain import AwaitedBy, Order, Origin
from services.builder.service import Builds, Tx
from tests.support.builder import ORG, OTHER, Yard, building
from tests.support.loops import eventually, running
from tests.support.slow import slow_source

ORIGIN = Origin(actor="user:1", correlation_id="c1", causation_id=None, traceparent=None)


@pytest.fixture
async def builds(pool: Pool) -> AsyncIterator[Builds]:
    with bound(Cause(actor="user:1", org_id=ORG, correlation_id="c1")):
        yield Builds(Database(pool, Tx.bind), woken=lambda: None)


async def queue(
    pool: Pool, number: int, *, org: UUID = ORG, awaited_by: AwaitedBy = "deployment"
) -> UUID:
    """Id of a build of the bento with that ``number``."""
    order = Order(
        id=uuid7(),
        org_id=org,
        revision_id=None,
        deployment_id=None,
        target="local",
        bento_id=UUID(int=number),
        repository="fox",
        version=f"v{number}",
        bento_digest=f"sha256:{number:064x}",
        models=(),
        origin=ORIGIN,
        awaited_by=awaited_by,
    )
    async with Database(pool, Tx.bind).transaction() as tx:
        await tx.builds.add(order)
    return order.id


async def chosen(builds: Builds, *, full: UUID | None = None, awaited: bool = False) -> list[UUID]:
    """All in the order in which they would be begun, were none ever to end."""
    found: list[UUID] = []
    shut = [full] if full else []
    while (each := await builds.start(besides=found, full=shut, awaited=awaited)) is not None:
        found.append(each.id)
    return found


async def test_a_long_queue_holds_up_no_other_organisation(builds: Builds, pool: Pool) -> None:
    mine = [await queue(pool, each) for each in range(3)]
    theirs = [await queue(pool, each, org=OTHER) for each in range(2)]

    assert await chosen(builds) == [mine[0], theirs[0], mine[1], theirs[1], mine[2]]


async def test_what_nobody_waits_for_comes_last(builds: Builds, pool: Pool) -> None:
    nobody = await queue(pool, 1, org=OTHER, awaited_by="nobody")
    person = await queue(pool, 2, awaited_by="person")
    deployment = await queue(pool, 3)

    assert await chosen(builds, awaited=True) == [deployment, person]
    assert await chosen(builds) == [deployment, person, nobody]


async def test_what_nobody_waits_for_is_begun_in_the_end(builds: Builds, pool: Pool) -> None:
    nobody = await queue(pool, 1, org=OTHER, awaited_by="nobody")
    mine = [await queue(pool, each, awaited_by="person") for each in (2, 3)]
    await pool.execute("UPDATE build SET created_at = now() - interval '16 minutes'")

    assert await chosen(builds) == [nobody, *mine]


async def test_of_a_full_organisation_nothing_is_begun(builds: Builds, pool: Pool) -> None:
    await queue(pool, 1)
    theirs = await queue(pool, 2, org=OTHER)

    assert await chosen(builds, full=ORG) == [theirs]


async def test_the_same_is_made_once_and_the_second_takes_no_place(
    builds: Builds, pool: Pool
) -> None:
    first, _, other = [await queue(pool, each) for each in (1, 1, 2)]

    assert await chosen(builds) == [first, other]


async def test_the_second_of_two_finds_what_the_first_has_made(yard: Yard) -> None:
    digest = await yard.push("fox:v1")
    twins = [await yard.request(digest) for _ in range(2)]

    async def ended() -> bool:
        return all([(await yard.builds.one(ORG, each)).status == "built" for each in twins])

    async with running(yard.worker.run):
        await eventually(ended)

    views = [await yard.builds.one(ORG, each) for each in twins]
    assert [each.reused for each in views] == [False, True]
    assert views[0].image_digest == views[1].image_digest


async def test_an_organisation_has_no_more_under_way_than_its_share(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    lanes, isolation = Lanes(lanes=2, lanes_per_org=1), choose(AUTO, [tmp_path / "keys"])
    if not isolation.isolates:
        pytest.skip(isolation.why)
    async with building(pool, shelves, tmp_path, lanes=lanes, isolation=isolation) as yard:
        slow = slow_source(tmp_path).requirement
        mine = [
            await yard.request(await yard.push(f"fox:v{each}", yard.wheel, slow))
            for each in range(2)
        ]
        theirs = await yard.request(await yard.push("owl:v1", org=OTHER), org=OTHER)

        async def ended() -> bool:
            return (await yard.builds.one(OTHER, theirs)).status == "built"

        async with running(yard.worker.run):
            await eventually(ended)
            statuses = [(await yard.builds.one(ORG, each)).status for each in mine]
    assert statuses == ["running", "queued"]


async def test_who_waits_for_anothers_environment_leaves_its_place_to_others(yard: Yard) -> None:
    slow = slow_source(yard.folder).requirement
    twins = [
        await yard.request(await yard.push(f"fox:v{each}", yard.wheel, slow)) for each in range(2)
    ]
    other = await yard.request(await yard.push("owl:v1"))

    async def settled() -> bool:
        views = [await yard.builds.one(ORG, each) for each in (*twins, other)]
        return sorted(each.status for each in views) == ["built", "queued", "running"]

    async with running(yard.worker.run):
        await eventually(settled)
    views = [await yard.builds.one(ORG, each) for each in twins]
    [waits] = [each for each in views if each.status == "queued"]
    assert waits.attempts == 0
    assert "another build makes the environment" in yard.log(waits.id)


async def test_the_last_lane_is_kept_for_what_somebody_waits_for(yard: Yard, pool: Pool) -> None:
    slow = slow_source(yard.folder).requirement
    unawaited = [
        await yard.request(await yard.push("fox:v0", yard.wheel, slow)),
        await yard.request(await yard.push("fox:v1")),
    ]
    await pool.execute("UPDATE build SET awaited_by = 'nobody'")
    awaited = await yard.request(await yard.push("owl:v1"))

    async def built() -> bool:
        views = [await yard.builds.one(ORG, each) for each in (unawaited[0], awaited)]
        return [each.status for each in views] == ["running", "built"]

    async with running(yard.worker.run):
        await eventually(built)
        await asyncio.sleep(0.3)  # in which the free lane would have begun it
        assert (await yard.builds.one(ORG, unawaited[1])).status == "queued"
