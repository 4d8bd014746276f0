"""A version that is deleted or pushed anew while bytes come gets none of those."""

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.loops import eventually
from tests.support.registry import BENTOS, Served, archive, create, held, send, usage
from tests.support.shelf import said

V1 = f"{BENTOS}/v1"
TRASH = "/api/registry/bentos/iris/versions/v1"


@pytest.mark.parametrize("is_purged", [False, True])
async def test_bytes_that_come_to_a_version_that_was_deleted_have_lost(
    session: aiohttp.ClientSession, registry: Served, pool: Pool, *, is_purged: bool
) -> None:
    await create(session, "v1")
    go_on = asyncio.Event()
    body = held(archive("v1"), go_on)
    sending = asyncio.create_task(send(session, "PUT", f"{V1}/upload", body))
    await eventually(lambda: len(registry.staged) == 1)

    assert (await send(session, "DELETE", TRASH))[0] == 200
    if is_purged:
        assert (await send(session, "POST", "/api/registry/gc", {"empty": True}))[0] == 200
    go_on.set()

    status, problem = await sending
    assert (status, problem["type"]) == (409, "/problems/upload-lost")
    assert "bento.pushed" not in await said(pool)
    assert await usage(pool) == (0, 0)
    assert registry.staged == []


async def finish(session: aiohttp.ClientSession, content: bytes) -> tuple[int, Any]:
    """All of ``content`` as one part, and that it was all."""
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    transfer = begun["upload_id"]
    async with session.put(f"/api/registry/transfers/{transfer}/1", data=content) as answer:
        etag = answer.headers["ETag"]
    named = {"upload_id": transfer, "parts": [{"part_number": 1, "etag": etag}]}
    await send(session, "PATCH", f"{V1}/complete_multipart_upload", named)
    return await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})


async def test_what_is_verified_of_a_version_that_was_deleted_never_becomes_it(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    """It was deleted between the client's last word and the first look at the bytes."""
    await create(session, "v1")
    finishing = asyncio.create_task(finish(session, archive("v1")))
    assert await registry.sent.wait(timedelta(seconds=15))

    assert (await send(session, "DELETE", TRASH))[0] == 200
    assert await registry.cases.verifying.turn()

    assert (await finishing)[0] == 404
    assert "bento.pushed" not in await said(pool)
    assert (await send(session, "POST", f"{TRASH}/undelete", b""))[0] == 200
    assert (await send(session, "GET", V1))[1]["upload_status"] == "failed"
    assert (await send(session, "GET", f"{V1}/download"))[0] == 409
    assert await usage(pool) == (0, 0)
    assert await pool.fetchval("SELECT count(*) FROM transfer") == 0


async def test_a_push_that_begins_before_another_is_verified_has_taken_its_place(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    await create(session, "v1")
    older, newer = archive("v1", payload=b"older"), archive("v1", payload=b"newer")
    finishing = asyncio.create_task(finish(session, older))
    assert await registry.sent.wait(timedelta(seconds=15))
    go_on = asyncio.Event()
    sending = asyncio.create_task(send(session, "PUT", f"{V1}/upload", held(newer, go_on)))
    await eventually(lambda: len(registry.staged) == 1)

    assert await registry.cases.verifying.turn()
    assert (await send(session, "GET", f"{V1}/download"))[0] == 409, "nothing is whole yet"
    go_on.set()

    assert (await sending)[0] == 200
    await finishing
    assert await send(session, "GET", f"{V1}/download") == (200, newer)
    assert await said(pool) == ["bento.pushed"]
    assert await usage(pool) == (0, len(newer))
