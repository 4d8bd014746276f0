"""Deleting without fear: refused while anything needs it, undone while it is in the trash."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Pool
from tests.support.registry import (
    BENTOS,
    ORG,
    Served,
    archive,
    send,
    usage,
)
from tests.support.shelf import IRIS, hold, later, push, push_model, release, said


async def test_a_deleted_version_is_nowhere_but_in_the_trash(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await push(session, "v1", "v2")
    status, seen = await send(session, "DELETE", f"{IRIS}/versions/v2")
    assert status == 200, seen
    assert datetime.fromisoformat(seen["purge_at"]) > datetime.now(UTC) + timedelta(days=6)

    assert (await send(session, "GET", f"{BENTOS}/v2"))[0] == 404
    assert (await send(session, "GET", f"{BENTOS}/v2/download"))[0] == 404
    assert (await send(session, "GET", f"{BENTOS}/latest"))[1]["version"] == "v1"
    _, listed = await send(session, "GET", BENTOS)
    assert [each["version"] for each in listed["items"]] == ["v1"]
    _, found = await send(session, "GET", "/api/registry/bentos")
    assert [each["version"] for each in found["items"]] == ["v1"]
    _, trash = await send(session, "GET", "/api/registry/trash")
    assert [(each["name"], each["version"]) for each in trash["items"]] == [("iris", "v2")]
    assert trash["items"][0]["deleted_by"] == "user:1"
    assert (await send(session, "DELETE", f"{IRIS}/versions/v2"))[0] == 404
    assert await said(pool) == ["bento.pushed", "bento.pushed", "bento.deleted"]
    assert (await usage(pool))[1] == 2 * len(archive("v1")), "the trash is still stored"


async def test_what_is_brought_back_is_as_it_was(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    await push(session, "v1")
    _, before = await send(session, "GET", f"{BENTOS}/v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    status, seen = await send(session, "POST", f"{IRIS}/versions/v1/undelete")
    assert status == 200, seen
    _, after = await send(session, "GET", f"{BENTOS}/v1")
    changes = {"updated_at", "repository"}
    assert {k: after[k] for k in after.keys() - changes} == {
        k: before[k] for k in before.keys() - changes
    }
    assert (await send(session, "GET", f"{BENTOS}/v1/download")) == (200, archive("v1"))
    assert (await send(session, "POST", f"{IRIS}/versions/v1/undelete"))[0] == 404
    assert await said(pool) == ["bento.pushed", "bento.deleted", "bento.restored"]


async def test_a_name_in_the_trash_may_be_pushed_again(session: aiohttp.ClientSession) -> None:
    await push(session, "v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    await push(session, "v1")
    status, problem = await send(session, "POST", f"{IRIS}/versions/v1/undelete")
    assert (status, problem["type"]) == (409, "/problems/version-exists")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    _, trash = await send(session, "GET", "/api/registry/trash?kind=bento")
    assert [each["version"] for each in trash["items"]] == ["v1", "v1"]


async def test_an_alias_a_revision_and_a_bento_each_keep_a_version(
    session: aiohttp.ClientSession,
) -> None:
    await push_model(session, "m1")
    await push(session, "v1", models=["iris:m1"])
    revision = uuid4()
    assert await hold(session, "v1", revision) == 204
    alias = {"version": "v1", "expected": None}
    assert (await send(session, "PUT", f"{IRIS}/aliases/live", alias))[0] == 200

    status, problem = await send(session, "DELETE", f"{IRIS}/versions/v1")
    assert status == 409
    assert problem["holders"] == [
        {"kind": "alias", "name": "live"},
        {"kind": "revision", "name": f"default.iris ({revision})"},
    ]
    status, problem = await send(session, "DELETE", "/api/registry/models/iris/versions/m1")
    assert status == 409
    assert problem["holders"] == [
        {"kind": "bento", "name": "iris:v1"},
        {"kind": "revision", "name": f"default.iris ({revision})"},
    ]
    assert (await send(session, "DELETE", IRIS))[0] == 409

    assert await release(session, revision) == 204
    assert await release(session, revision) == 204, "idempotent"
    assert (await send(session, "DELETE", f"{IRIS}/aliases/live?expected=v1"))[0] == 204
    assert (await send(session, "DELETE", f"{IRIS}/versions/v1"))[0] == 200
    assert (await send(session, "DELETE", "/api/registry/models/iris/versions/m1"))[0] == 200


async def test_an_alias_cannot_be_moved_to_what_was_deleted(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, "v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    alias = {"version": "v1", "expected": None}
    assert (await send(session, "PUT", f"{IRIS}/aliases/live", alias))[0] == 404


async def test_a_repository_goes_as_a_whole_and_comes_back_with_a_version(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1", "v2")
    assert (await send(session, "DELETE", IRIS))[0] == 200
    assert (await send(session, "GET", "/api/v1/bento_repositories/iris"))[0] == 404
    assert (await send(session, "POST", f"{IRIS}/versions/v2/undelete"))[0] == 200
    assert (await send(session, "GET", f"{BENTOS}/latest"))[1]["version"] == "v2"
    assert (await send(session, "DELETE", IRIS))[0] == 200
    with bound(Cause("service:registry", ORG, correlation_id="test")):
        assert (await later(pool, tmp_path, days=8).collection.run()).purged == 2
    assert await pool.fetchval("SELECT count(*) FROM repository") == 0
    await push(session, "v1")


async def test_another_organisation_sees_no_trash_and_empties_only_its_own(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    await push(session, "v1")
    await send(session, "DELETE", f"{IRIS}/versions/v1")
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as other:
        assert (await send(other, "GET", "/api/registry/trash"))[1]["items"] == []
        assert (await send(other, "POST", f"{IRIS}/versions/v1/undelete"))[0] == 404
        _, taken = await send(other, "POST", "/api/registry/gc", {"empty": True})
        assert taken["purged"] == 0
    assert (await send(session, "POST", f"{IRIS}/versions/v1/undelete"))[0] == 200
