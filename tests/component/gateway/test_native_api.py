"""The registry's native API through the gateway: its document, and requests that are repeated."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.edge import OURS, Surroundings
from tests.support.images import registry_behind
from tests.support.postgres import PostgresServer
from tests.support.registry import BENTOS, archive, create, send


@pytest.fixture
async def session(
    around: Surroundings, postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        registry_behind(around, postgres_server, tmp_path / "blobs"),
        around.gateway() as gateway,
        aiohttp.ClientSession(gateway.api, headers=OURS) as session,
    ):
        yield session


async def test_the_document_is_there_and_so_is_what_it_describes(
    session: aiohttp.ClientSession,
) -> None:
    """Nothing is described that the gateway does not pass on."""
    status, document = await send(session, "GET", "/api/registry/openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")

    for path, operations in document["paths"].items():
        for method in operations:
            status, answer = await send(
                session, method.upper(), path.replace("{", "").replace("}", "")
            )
            assert status != 405, path
            assert answer == b"" or answer.get("title") != "Not Found", path


async def test_a_key_and_the_word_of_a_repetition_pass(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))
    path, headers = "/api/registry/bentos/iris/aliases/live", {"Idempotency-Key": "once"}
    body = {"version": "v1", "expected": None}

    replayed = []
    for _ in range(2):
        async with session.put(path, json=body, headers=headers) as answer:
            assert answer.status == 200
            replayed.append(answer.headers.get("Idempotency-Replayed"))
    assert replayed == [None, "true"]
