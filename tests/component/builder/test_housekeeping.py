"""What is old, left behind or too much is removed; what is of use or another's stays."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Database, Pool
from services.builder.environments import Children, Leavings, UvCaches
from services.builder.service import Housekeeping, Images, Keep, Tx
from tests.support.builder import ORG, OTHER, Yard

DIGEST = "sha256:" + "0" * 64
OLD = timedelta(days=91)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """uv's cache, which is nobody else's."""
    folder = tmp_path / "uv-cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(folder))
    return folder


async def failed(yard: Yard, org: UUID) -> UUID:
    """A build that failed long ago; its log is there."""
    build = await yard.request(DIGEST, org=org)
    order = await yard.builds.start()
    assert order is not None
    with bound(Cause("user:1", org, "c1")):
        await yard.builds.failed(order, "build-crashed", "it did")
    yard.folders.log(build).write_text("some words")
    return build


async def test_old_logs_and_unused_records_go_those_of_others_stay(yard: Yard, pool: Pool) -> None:
    mine, theirs = await failed(yard, ORG), await failed(yard, OTHER)
    await pool.execute("UPDATE build SET ended_at = now() - $1::interval", OLD)
    fresh = await failed(yard, ORG)
    for org, age in ((ORG, OLD), (ORG, OLD / 2), (OTHER, OLD)):
        await pool.execute(
            "INSERT INTO layer_cache (org_id, key, repository, layers, used_at) "
            "VALUES ($1, $2, 'r', '[]', now() - $3::interval)",
            org,
            uuid7().hex,
            age,
        )

    pruned = await yard.shop.housekeeping.prune(ORG)

    assert pruned.removed == (f"logs/{mine}.log",)
    assert (pruned.freed_bytes, pruned.forgotten) == (len("some words"), 1)
    assert {each.stem for each in (yard.folders.root / "logs").iterdir()} == {
        str(theirs),
        str(fresh),
    }
    assert await pool.fetchval("SELECT count(*) FROM layer_cache") == 2


async def test_the_use_of_a_layer_is_noted_by_the_hour(pool: Pool) -> None:
    ages = {"new": timedelta(minutes=30), "old": timedelta(days=89)}
    for key, age in ages.items():
        await pool.execute(
            "INSERT INTO layer_cache (org_id, key, repository, layers, used_at) "
            "VALUES ($1, $2, 'r', '[]', now() - $3::interval)",
            ORG,
            key,
            age,
        )

    async with Database(pool, Tx.bind).transaction() as tx:
        found = [await tx.recipes.layers(ORG, key) for key in ages]

    assert found == [("r", ())] * 2
    query = "SELECT now() - used_at FROM layer_cache WHERE key = $1"
    assert await pool.fetchval(query, "new") > timedelta(minutes=29), "nothing was written"
    assert await pool.fetchval(query, "old") < timedelta(minutes=1)


async def test_a_sweep_removes_what_builds_left_but_not_what_they_use(
    yard: Yard, cache: Path
) -> None:
    theirs = await failed(yard, OTHER)
    await yard.request(DIGEST)
    order = await yard.builds.start()
    assert order is not None
    runs, left = yard.folders.work(order.id), yard.folders.work(theirs)
    (left / "protected").mkdir()
    (left / "protected/file").write_text("12345")
    (left / "protected").chmod(0o500)
    scratch = yard.folders.scratch()
    (scratch / "old").write_text("1")
    os.utime(scratch / "old", (0, 0))
    (scratch / "new").write_text("1")

    swept = await yard.shop.housekeeping.sweep()

    assert set(swept.removed) == {f"work/{theirs}", "scratch/old"}
    assert swept.freed_bytes == 6
    assert runs.exists()
    assert (scratch / "new").exists()
    assert not cache.exists(), "there was none"


async def test_uvs_cache_is_held_within_its_budget(yard: Yard, pool: Pool, cache: Path) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    assert (await yard.ended(build)).status == "built"
    assert list(cache.iterdir()) != []
    database = Database(pool, Tx.bind)

    async def sweep(budget: int | None) -> int:
        house = Housekeeping(
            database,
            Images(database, yard.folders),
            leavings=Leavings(yard.folders.root),
            caches=[UvCaches(Children(f"test-{yard.folder.name}:build"), yard.folders.caches)],
            keep=Keep(cache_bytes=budget),
        )
        return (await house.sweep()).freed_bytes

    await sweep(None)
    of_theirs = yard.folders.caches / str(OTHER)
    shutil.copytree(cache, of_theirs, symlinks=True)
    layout = yard.folders.bases() / "0123"
    layout.mkdir()
    (layout / "blob").write_bytes(bytes(1000))
    assert await sweep(2**40) == 0
    assert await sweep(0) > 0
    assert not any(each.is_file() for each in of_theirs.rglob("*.py"))
    assert layout.exists(), "a build may be reading it"
    os.utime(layout, (0, 0))
    assert await sweep(1000) == 0
    assert await sweep(999) == 1000
    again = await yard.request(await yard.push("owl:v1"))
    assert (await yard.ended(again)).status == "built", "what was built needs no cache"


async def test_what_was_removed_is_said_with_its_size(yard: Yard, pool: Pool) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    view = await yard.ended(build)
    assert view.status == "built", yard.log(build)
    await pool.execute("UPDATE build SET ended_at = now() - interval '2 hours'")

    pruned = await yard.shop.housekeeping.prune(ORG)

    assert {each.partition("/")[0] for each in pruned.removed} == {"images", "environments"}
    assert pruned.freed_bytes > 0
