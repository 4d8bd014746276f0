"""Builds that somebody cancels, and those that take too long: stopped, with all that they run."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Database, Pool
from libs.contracts.identity import Principal
from services.builder.controller import Lanes
from services.builder.domain import Image, Order
from services.builder.errors import BuildEndedError, BuildNotFoundError
from services.builder.service import Builds, Tx
from tests.support.builder import ORG, OTHER, Yard, building
from tests.support.loops import eventually, running
from tests.support.serving import CALLER
from tests.support.slow import slow_source

OWNER = CALLER.model_copy(update={"org_id": ORG})
CAUSE = Cause(actor="user:1", org_id=ORG, correlation_id="c1")
IMAGE = Image("sha256:" + "1" * 64, "file:///x", reused=False)


async def cancel(builds: Builds, build: UUID, who: Principal = OWNER) -> str:
    with bound(CAUSE):
        return (await builds.cancel(who, build)).status


async def said(pool: Pool) -> Sequence[str]:
    rows = await pool.fetch("SELECT type FROM outbox ORDER BY id")
    return [row["type"].split(".", 2)[2] for row in rows]


async def begun(yard: Yard) -> Order:
    order = await yard.builds.start()
    assert order is not None
    return order


async def test_one_that_is_queued_is_cancelled_at_once_and_stays_so(yard: Yard, pool: Pool) -> None:
    build = await yard.request("sha256:" + "0" * 64)

    with pytest.raises(BuildNotFoundError):
        await cancel(yard.builds, build, OWNER.model_copy(update={"org_id": OTHER}))
    assert [await cancel(yard.builds, build) for _ in range(2)] == ["cancelled", "cancelled"]

    view = await yard.builds.one(ORG, build)
    assert (view.code, view.reason) == ("build-cancelled", f"cancelled by {OWNER.actor}")
    assert await said(pool) == ["image.requested.v1", "image.failed.v1"]
    assert await yard.worker.turn() is False


async def test_one_that_runs_is_stopped_within_a_second_with_all_its_processes(
    unconfined: Yard, pool: Pool
) -> None:
    yard = unconfined
    source = slow_source(yard.folder)
    build = await yard.request(await yard.push("fox:v1", yard.wheel, source.requirement))
    elsewhere = Builds(Database(pool, Tx.bind), woken=lambda: None)

    async with running(yard.worker.run):
        await eventually(source.runs)
        assert await cancel(elsewhere, build) == "running", "its worker has not heard of it"
        asked = time.monotonic()
        await eventually(has_status(yard, build, "cancelled"))
        assert time.monotonic() - asked < 1.5

    await eventually(source.gone, within=timedelta(seconds=1))
    assert list((yard.folders.root / "work").iterdir()) == []
    assert yard.log(build).endswith("cancelled\n")
    assert await said(pool) == ["image.requested.v1", "image.failed.v1"]


async def test_one_whose_worker_is_gone_is_ended_by_the_next(yard: Yard, pool: Pool) -> None:
    build = await yard.request("sha256:" + "0" * 64)
    await begun(yard)
    assert await cancel(yard.builds, build) == "running"

    assert await yard.worker.turn() is False, "what is not wanted is not begun anew"
    await yard.worker.heed()

    assert (await yard.builds.one(ORG, build)).status == "cancelled"
    assert await said(pool) == ["image.requested.v1", "image.failed.v1"]


@pytest.mark.parametrize("first", ["built", "failed", "cancelled"])
async def test_a_build_has_one_end_whichever_comes_first(
    yard: Yard, pool: Pool, first: str
) -> None:
    build = await yard.request("sha256:" + "0" * 64)
    order = await begun(yard)
    await cancel(yard.builds, build)

    async def built() -> None:
        await yard.builds.built(order, IMAGE, 1.0)

    async def failed() -> None:
        await yard.builds.failed(order, "build-crashed", "it did")

    async def cancelled() -> None:
        await yard.builds.cancelled(order)

    ends = {"built": built, "failed": failed, "cancelled": cancelled}
    with bound(CAUSE):
        for end in (ends.pop(first), *ends.values()):
            await end()

    assert (await yard.builds.one(ORG, build)).status == first
    assert len(await said(pool)) == 2
    if first != "cancelled":
        with pytest.raises(BuildEndedError):
            await cancel(yard.builds, build)


async def test_one_that_takes_too_long_fails(pool: Pool, shelves: Pool, tmp_path: Path) -> None:
    lanes = Lanes(timeout=timedelta(seconds=2))
    async with building(pool, shelves, tmp_path, lanes=lanes) as yard:
        source = slow_source(tmp_path)
        build = await yard.request(await yard.push("fox:v1", yard.wheel, source.requirement))

        view = await yard.ended(build)

    assert (view.status, view.code) == ("failed", "build-timeout")
    assert "not complete after 2 s" in (view.reason or "")
    await eventually(source.gone, within=timedelta(seconds=1))


async def test_a_database_that_is_gone_for_a_moment_stops_no_worker(yard: Yard, pool: Pool) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    async with running(yard.worker.run):
        await eventually(has_status(yard, build, "running"))
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await eventually(has_status(yard, build, "built"), within=timedelta(seconds=30))


def has_status(yard: Yard, build: UUID, status: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await yard.builds.one(ORG, build)).status == status

    return check
