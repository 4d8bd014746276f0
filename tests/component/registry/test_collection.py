"""What nobody needs goes, in two steps; what anybody needs does not."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Pool
from tests.support.registry import (
    BENTOS,
    ORG,
    archive,
    send,
    usage,
)
from tests.support.shelf import IRIS, files, hold, later, push, said


async def test_the_trash_is_emptied_when_its_time_is_over_and_bytes_go_in_two_steps(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1", "v2")
    await send(session, "DELETE", f"{IRIS}/versions/v2")

    early = await later(pool, tmp_path, days=6).collection.run()
    assert (early.purged, early.marked_bytes, early.removed_bytes) == (0, 0, 0)
    with bound(Cause("service:registry", ORG, correlation_id="test")):
        assert (await later(pool, tmp_path, days=8).collection.run()).purged == 1
    assert await usage(pool) == (0, len(archive("v1")))
    assert (await later(pool, tmp_path, days=8.5).collection.run()).marked_bytes == 0, "too early"
    marked = await later(pool, tmp_path, days=9.5).collection.run()
    assert (marked.marked_bytes, marked.removed_bytes) == (len(archive("v2")), 0)
    assert len(files(tmp_path)) == 2
    removed = await later(pool, tmp_path, days=11).collection.run()
    assert removed.removed_bytes == len(archive("v2"))
    assert len(files(tmp_path)) == 1
    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[1] == archive("v1")
    assert await said(pool) == ["bento.pushed", "bento.pushed", "bento.deleted", "bento.purged"]
    assert (await send(session, "POST", f"{IRIS}/versions/v2/undelete"))[0] == 404


async def test_bytes_that_are_about_to_go_are_kept_by_a_push_of_the_same(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    cases = later(pool, tmp_path, days=30)
    with bound(Cause("service:registry", ORG, correlation_id="test")):
        await cases.collection.run()
    assert (await later(pool, tmp_path, days=40).collection.run()).marked_bytes
    await push(session, "v1")
    assert (await later(pool, tmp_path, days=50).collection.run()).removed_bytes == 0
    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[1] == archive("v1")
    assert len(files(tmp_path)) == 1


async def test_what_a_revision_runs_stays_although_it_was_pushed_anew_or_deleted(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1")
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    digest = await pool.fetchval("SELECT digest FROM blob")
    await hold(session, "v1", uuid4())
    status, _ = await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1", payload=b"new"))
    assert status == 200
    for days in (2, 4, 6):
        await later(pool, tmp_path, days=days).collection.run()
    as_builder = {"X-Test-Issuer": "builder"}
    async with session.get(f"/internal/blobs/{digest}", headers=as_builder) as answer:
        assert await answer.read() == archive("v1")
    assert seen["upload_status"] == "success"


async def test_emptying_frees_the_bytes_at_once(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await push(session, "v1", "v2")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    _, plan = await send(session, "GET", "/api/registry/gc")
    assert plan == {"trash": [], "unneeded": [], "others_bytes": 0, "braked": False}
    status, taken = await send(session, "POST", "/api/registry/gc", {"empty": True})
    size = len(archive("v1"))
    assert (status, taken) == (200, {"purged": 1, "marked_bytes": size, "removed_bytes": size})
    assert len(files(tmp_path)) == 1


async def test_a_hold_that_nobody_renews_ends_only_when_the_deployer_says_so(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    class Deployer:
        def __init__(self) -> None:
            self.known: set[Any] = set()

        async def exists(self, revision_id: object, org_id: object) -> bool:
            assert org_id == ORG
            return revision_id in self.known

    await push(session, "v1")
    kept, gone = uuid4(), uuid4()
    for each in (kept, gone):
        await hold(session, "v1", each)
    deployer = Deployer()
    deployer.known.add(kept)
    assert await later(pool, tmp_path, hours=23).holds.ask_about_stale(deployer) == 0
    assert await later(pool, tmp_path, hours=25).holds.ask_about_stale(deployer) == 1
    assert await pool.fetchval("SELECT array_agg(revision_id) FROM hold") == [kept]


async def test_a_hold_on_what_is_gone_is_refused(session: aiohttp.ClientSession) -> None:
    await push(session, "v1")
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    body = {"bento_id": seen["uid"], "deployment": "default.iris"}
    headers = {"X-Test-Issuer": "deployer"}
    path = f"/internal/holds/{uuid4()}"
    async with session.put(path, json=body, headers=headers) as answer:
        assert answer.status == 204, "the trash can still be held"
    _, taken = await send(session, "POST", "/api/registry/gc", {"empty": True})
    assert taken["purged"] == 0
    await session.delete(path, headers=headers)
    _, taken = await send(session, "POST", "/api/registry/gc", {"empty": True})
    assert taken["purged"] == 1
    async with session.put(path, json=body, headers=headers) as answer:
        assert answer.status == 404


async def test_a_rule_says_what_it_will_do_and_does_it(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1", "v2", "v3", "v4", "v5")
    alias = {"version": "v2", "expected": None}
    await send(session, "PUT", f"{IRIS}/aliases/live", alias)
    rule = {"keep_last": 2, "keep_labels": {"team": "v3"}}
    status, planned = await send(session, "POST", f"{IRIS}/retention/plan", rule)
    assert status == 200, planned
    assert {each["version"]: each["goes"] for each in planned["items"]} == {
        "v5": False,
        "v4": False,
        "v3": False,
        "v2": False,
        "v1": True,
    }
    reasons = {each["version"]: each["reason"] for each in planned["items"]}
    assert reasons["v3"] == "labelled team=v3"
    assert reasons["v2"] == "held by alias live"
    assert (await send(session, "GET", f"{IRIS}/retention"))[1] == {
        "keep_last": None,
        "keep_days": None,
        "keep_labels": None,
    }

    assert (await send(session, "PUT", f"{IRIS}/retention", rule))[0] == 200
    assert (await send(session, "GET", f"{IRIS}/retention"))[1] == {"keep_days": None, **rule}
    assert await later(pool, tmp_path).retentions.apply_all() == 1
    assert await later(pool, tmp_path).retentions.apply_all() == 0
    _, trash = await send(session, "GET", "/api/registry/trash")
    assert [(each["version"], each["deleted_by"]) for each in trash["items"]] == [
        ("v1", "service:registry")
    ]
    body = await pool.fetchval("SELECT body FROM outbox WHERE type LIKE '%deleted%'")
    assert json.loads(body)["data"]["reason"] == "retention"
    assert (await send(session, "DELETE", f"{IRIS}/retention"))[0] == 204


@pytest.mark.parametrize("rule", [{}, {"keep_last": 0}, {"keep_labels": {"a": "b"}}, {"kep": 1}])
async def test_a_rule_that_keeps_nothing_or_is_misspelt_is_refused(
    session: aiohttp.ClientSession, rule: dict[str, Any]
) -> None:
    await push(session, "v1")
    assert (await send(session, "PUT", f"{IRIS}/retention", rule))[0] == 422


async def test_bytes_of_which_no_database_knows_go_when_they_are_old(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1")
    lost = tmp_path / "blobs" / "sha256" / "ab" / "lost"
    lost.parent.mkdir(exist_ok=True)
    lost.write_bytes(b"x" * 100)
    assert await later(pool, tmp_path, hours=1).collection.remove_unknown() == 0
    assert await later(pool, tmp_path, hours=25).collection.remove_unknown() == 100
    assert not lost.exists()
    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[0] == 200


async def test_too_much_that_nobody_let_go_of_stops_the_collection(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    """As after a restore of an old database: the versions are missing, the bytes are there."""
    await push(session, "v1")
    await pool.execute("UPDATE blob SET size_bytes = 2::bigint << 30")
    await pool.execute("DELETE FROM version")
    await pool.execute("UPDATE usage SET committed_bytes = 0")
    _, plan = await send(session, "GET", "/api/registry/gc")
    assert not plan["braked"], "nothing is old enough"
    collection = later(pool, tmp_path, days=2).collection
    assert (await collection.plan(ORG)).braked
    status, problem = await send(session, "POST", "/api/registry/gc", {"empty": True})
    assert (status, problem["type"]) == (409, "/problems/collection-braked")
    assert len(files(tmp_path)) == 1
    _, taken = await send(session, "POST", "/api/registry/gc", {"empty": True, "force": True})
    assert taken["removed_bytes"] == 2 << 30
    assert files(tmp_path) == []
