"""The registry through its edge: push, pull, refuse, repair; real Postgres, real bytes."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from libs.chassis.blobs import FileBlobs
from libs.chassis.http import Readiness, build_app
from libs.chassis.lifecycle import listen
from libs.chassis.listener import Listener, Server
from libs.chassis.postgres import Database, Pool
from libs.contracts.identity import Principal
from services.registry.http import routes
from services.registry.service import Registry
from services.registry.wiring import bind

ORG = UUID(int=1)
BENTOS = "/api/v1/bento_repositories/iris/bentos"


@pytest.fixture
async def url(pool: Pool, tmp_path: Path) -> AsyncIterator[str]:
    async def authenticate(request: web.Request) -> Principal:
        issuer = request.headers.get("X-Test-Issuer", "gateway")
        return Principal(actor="user:1", issuer=issuer, org_id=ORG, org="default")

    async def ready() -> Readiness:
        return Readiness()

    app = build_app(
        routes(Registry(Database(pool, bind)), FileBlobs(tmp_path / "blobs")),
        service="registry",
        authenticate=authenticate,
        ready=ready,
    )
    server = Server(Listener(app, listen("127.0.0.1", 0)))
    await server.start()
    yield f"http://{server.address}"
    await server.drain(timedelta(seconds=1))
    await server.close()


@pytest.fixture
async def session(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


def archive(version: str, *, name: str = "bento.yaml", payload: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in (
            (f"./{name}", f"name: iris\nversion: {version}\n".encode()),
            ("./src/weights", payload),
        ):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


async def send(
    session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    data = None if body is None else io.BytesIO(raw)
    async with session.request(method, path, data=data) as answer:
        raw = await answer.read()
        return answer.status, json.loads(raw) if "json" in answer.content_type else raw


async def create(session: aiohttp.ClientSession, version: str, **manifest: object) -> None:
    await send(session, "POST", "/api/v1/bento_repositories", {"name": "iris"})
    body = {
        "version": version,
        "manifest": {"service": "s:S", "size_bytes": 1, **manifest},
        "build_at": "2026-11-20 10:09:03.538404",
        "labels": [{"key": "team", "value": version}],
    }
    status, made = await send(session, "POST", BENTOS, body)
    assert status == 200, made
    assert made["upload_status"] == "pending"


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

    with pytest.raises(aiohttp.ClientPayloadError):
        await send(session, "GET", f"{BENTOS}/v1/download")


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
