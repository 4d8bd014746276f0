"""What one organisation has is not there for another: every route, existence included."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from libs.chassis.blobs import FileBlobs
from libs.chassis.http import Route
from libs.chassis.postgres import Pool
from services.registry.http import Urls, routes
from tests.support.oci import push_image
from tests.support.registry import Served, archive, archive_of, create, create_model, send, served
from tests.support.shelf import hold

SECRET = "kept-to-ourselves"
OTHER = {"X-Test-Org": "2"}
_FILLED = re.compile(r"{(\w+)(:[^}]*)?}")
_VARYING = re.compile(r"[0-9a-f]{32}|kept-to-ourselves|nobodys|[0-9a-f-]{36}")


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(pool, tmp_path / "blobs") as it:
        yield it


async def filled(registry: Served) -> dict[str, str]:
    """An organisation with something of everything; the values that its paths are made of."""
    async with aiohttp.ClientSession(registry.url) as session:
        model = await create_model(session, SECRET, metadata={"accuracy": 0.9, "run_id": SECRET})
        await send(session, "PUT", f"{model}/upload", archive_of(f"{model}/upload"))
        lock = {"python_requirements": f"{SECRET}==1.0\n"}
        await create(session, SECRET, models=[f"iris:{SECRET}"], image=lock)
        path = f"/api/v1/bento_repositories/iris/bentos/{SECRET}"
        await send(session, "PUT", f"{path}/upload", archive(SECRET))
        for kind in ("bento", "model"):
            body = {"version": SECRET, "expected": None}
            await send(session, "PUT", f"/api/registry/{kind}s/iris/aliases/live", body)
        _, begun = await send(session, "PATCH", f"{path}/start_multipart_upload")
        revision = uuid4()
        await hold_of(session, path, revision)
        await push_image(session, "v1", SECRET.encode(), name=SECRET)
        _, seen = await send(session, "GET", f"/api/registry/bentos/iris/versions/{SECRET}")
        async with session.get(f"/v2/{SECRET}/manifests/v1") as answer:
            image = answer.headers["Docker-Content-Digest"]
    return {
        "repository": "iris",
        "version": SECRET,
        "alias": "live",
        "path": "bento.yaml",
        "kind": "run",
        "name": SECRET,
        "digest": seen["digest"],
        "reference": image,
        "transfer": begun["upload_id"],
        "upload": str(uuid4()),
        "number": "1",
        "revision_id": str(revision),
    }


async def hold_of(session: aiohttp.ClientSession, path: str, revision: object) -> None:
    del path
    assert await hold(session, SECRET, revision) == 204


def asked(route: Route, values: dict[str, str]) -> str:
    return _FILLED.sub(lambda found: values.get(found[1], SECRET), route.path)


async def answered(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, str]:
    async with session.get(path, headers=headers) as answer:
        return answer.status, (await answer.read()).decode(errors="replace")


async def test_no_route_tells_another_organisation_that_anything_is_there(
    registry: Served, tmp_path: Path
) -> None:
    values = await filled(registry)
    nobodys = dict.fromkeys(values, "nobodys") | {
        "digest": "sha256:" + "0" * 64,
        "reference": "sha256:" + "0" * 64,
        "kind": values["kind"],
        "transfer": str(uuid4()),
        "upload": str(uuid4()),
        "number": "1",
        "revision_id": str(uuid4()),
    }
    every = routes(registry.cases, FileBlobs(tmp_path / "none"), Urls(None, None))
    reading = [each for each in every if each.method == "GET"]
    assert len(reading) > 40
    told = []
    async with aiohttp.ClientSession(registry.url, headers=OTHER) as stranger:
        for route in reading:
            issuer = "gateway" if "gateway" in route.issuers else min(route.issuers)
            headers = {"X-Test-Issuer": issuer}
            there = await answered(stranger, asked(route, values), **headers)
            not_there = await answered(stranger, asked(route, nobodys), **headers)
            if plain(there, values) != plain(not_there, nobodys):
                told.append((route.path, there, not_there))
    assert told == []


def plain(answer: tuple[int, str], values: dict[str, Any]) -> tuple[int, str]:
    """Without what only repeats the question, and what differs in every answer."""
    status, body = answer
    for each in sorted({one for one in values.values() if len(one) > 1}, key=len, reverse=True):
        body = body.replace(json.dumps(each)[1:-1], "?")
    return status, _VARYING.sub("?", body)


async def test_the_lists_of_another_organisation_are_empty(registry: Served) -> None:
    await filled(registry)
    async with aiohttp.ClientSession(registry.url, headers=OTHER) as stranger:
        for path in (
            "/api/v1/bentos",
            "/api/v1/models",
            "/api/v1/bento_repositories",
            "/api/v1/model_repositories",
            "/api/registry/bentos",
            "/api/registry/models?query=accuracy%20%3E%200",
            "/api/registry/trash",
            f"/api/registry/packages/{SECRET}",
        ):
            status, seen = await send(stranger, "GET", path)
            assert (status, seen["items"]) == (200, []), path
        _, plan = await send(stranger, "GET", "/api/registry/gc")
        assert plan == {"trash": [], "unneeded": [], "others_bytes": 0, "braked": False}
