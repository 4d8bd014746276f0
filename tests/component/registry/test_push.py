"""The registry through its edge: push, pull, refuse, repair; real Postgres, real bytes."""

import json
from pathlib import Path

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.registry import BENTOS, archive, create, send


async def test_what_was_pushed_comes_back_and_is_said_once(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    sent = archive("v1", payload=b"w" * (9 * 2**20))
    await create(session, "v1")

    status, bento = await send(session, "PUT", f"{BENTOS}/v1/upload", sent)

    assert status == 200, bento
    assert bento["upload_status"] == "success"
    assert await send(session, "GET", f"{BENTOS}/v1/download") == (200, sent)
    [body] = [row["body"] for row in await pool.fetch("SELECT body FROM outbox")]
    assert json.loads(body)["data"]["size_bytes"] == len(sent)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        pytest.param(archive("v1", name="other.yaml"), "bento.yaml", id="no-description"),
        pytest.param(archive("v1")[:700], "truncated", id="truncated"),
        pytest.param(archive("v2"), "iris:v2", id="another-version"),
    ],
)
async def test_a_refused_archive_marks_the_version_failed_until_a_new_push(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path, sent: bytes, why: str
) -> None:
    await create(session, "v1")

    status, problem = await send(session, "PUT", f"{BENTOS}/v1/upload", sent)

    assert status == 422
    assert why in problem["detail"]
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    assert seen["upload_status"] == "failed"
    assert why in seen["upload_finished_reason"]
    assert list((tmp_path / "blobs" / "receiving").iterdir()) == []
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1")))[0] == 200


async def test_a_damaged_blob_never_leaves(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    await create(session, "v1")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))
    [stored] = (tmp_path / "blobs" / "sha256").rglob("*/*")
    stored.write_bytes(stored.read_bytes().replace(b"weights", b"weightZ"))

    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[0] == 503


async def test_lists_are_newest_first_and_filtered_by_label(session: aiohttp.ClientSession) -> None:
    for version in ("v1", "v2", "v3"):
        await create(session, version)

    _, listed = await send(session, "GET", f"{BENTOS}?start=&count=&q=&search=")
    _, found = await send(session, "GET", f"{BENTOS}?q=label:team%3Dv2")

    assert [each["version"] for each in listed["items"]] == ["v3", "v2", "v1"]
    assert [each["version"] for each in found["items"]] == ["v2"]
    assert (await send(session, "GET", f"{BENTOS}?q=colour:red"))[0] == 422


async def test_unknown_repositories(session: aiohttp.ClientSession) -> None:
    assert (await send(session, "GET", f"{BENTOS}?count=1"))[0] == 404
    models = await send(session, "GET", "/api/v1/model_repositories/no/models?start=0&count=10")
    assert models[1]["items"] == []


async def test_a_bento_resolves_only_with_all_its_models(session: aiohttp.ClientSession) -> None:
    await create(session, "v1", services=[{"name": "S", "models": [{"tag": "weights:v1"}]}])
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))

    session.headers["X-Test-Issuer"] = "deployer"
    status, problem = await send(session, "GET", "/internal/bentos/iris/latest")

    assert status == 409
    assert "weights:v1" in problem["detail"]
