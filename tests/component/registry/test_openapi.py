"""The OpenAPI document says what the registry does: one is held against the other."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from docs.generate.api import routes_of_services
from libs.chassis.postgres import Pool
from services.registry.http import DOCUMENT
from tests.support.oci import push_image
from tests.support.registry import Served, archive, archive_of, create, create_model, send, served

pytestmark = pytest.mark.long

THERE: Final = {
    "repository": "iris",
    "version": "v1",
    "alias": "live",
    "path": "bento.yaml",
    "kind": "model",
    "name": "iris:v1",
}
"""Values of parameters that name something: random ones alone would find nothing but 404."""
UNTOLD: Final = ("positive_data_acceptance", "negative_data_rejection")
"""A cursor or a query may be wrong in ways that no schema says, and any text may be a path."""
_SECONDS: Final = 120


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(pool, tmp_path / "blobs") as it:
        yield it


async def filled(session: aiohttp.ClientSession) -> None:
    model = await create_model(session, "v1", metadata={"accuracy": 0.9, "run_id": "7"})
    await send(session, "PUT", f"{model}/upload", archive_of(f"{model}/upload"))
    for version in ("v1", "v2"):
        await create(session, version, models=["iris:v1"], metadata={"accuracy": 0.9})
        path = f"/api/v1/bento_repositories/iris/bentos/{version}/upload"
        await send(session, "PUT", path, archive(version))
    for kind in ("bento", "model"):
        body = {"version": "v1", "expected": None}
        status, _ = await send(session, "PUT", f"/api/registry/{kind}s/iris/aliases/live", body)
        assert status == 200
    await push_image(session, "v1", b"layer", name="iris")


def findable(document: dict[str, Any]) -> dict[str, Any]:
    """The same, where parameters mostly are what is there; who asks is the gateway's to check."""
    del document["security"]
    for operations in document["paths"].values():
        for method, operation in operations.items():
            for each in operation["parameters"]:
                if each["in"] == "path" and each["name"] in THERE:
                    there = "nobodys" if method == "delete" else THERE[each["name"]]
                    each["schema"]["enum"] = [there, "nobodys", "a b"]
    return document


def test_every_route_of_the_native_api_is_described() -> None:
    native = [
        each for each in routes_of_services()["registry"] if each.path.startswith("/api/registry/")
    ]

    untold = {each.path for each in native if each.operation is None and each.method != "HEAD"}
    assert untold == {DOCUMENT}
    ids = [each.operation.id for each in native if each.operation]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.soak)])
async def test_what_is_asked_at_random_is_answered_as_described(
    registry: Served, tmp_path: Path, examples: int
) -> None:
    async with aiohttp.ClientSession(registry.url) as session:
        await filled(session)
        _, document = await send(session, "GET", DOCUMENT)
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(findable(document)))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", registry.url),
        *(
            "--max-examples",
            str(examples),
            "--seed",
            "1",
            "--generation-deterministic",
            "--no-color",
        ),
        *("--phases", "examples,coverage,fuzzing", "--no-shrink", "--continue-on-failure"),
        *(
            "--checks",
            "all",
            "--exclude-checks",
            "positive_data_acceptance,negative_data_rejection",
        ),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS * examples / 15):
        told, _ = await process.communicate()

    assert process.returncode == 0, told.decode()
