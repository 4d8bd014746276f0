"""Uploads whose pusher is gone end by themselves; one that flows, however slowly, never does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from uuid_utils.compat import uuid7

from libs.chassis.blobs import Blob, FileBlobs
from libs.chassis.postgres import Database, Pool, create_pool
from services.registry.controller import fail_abandoned
from services.registry.domain import Kind, Repository, Version
from services.registry.errors import UploadLostError
from services.registry.service import INTERRUPTED, Registry, Repositories, Uploads
from services.registry.wiring import bind
from tests.support.loops import eventually, running
from tests.support.registry import (
    BENTOS,
    ORG,
    PERSON,
    Served,
    archive,
    create,
    create_model,
    held,
    pieces,
    send,
    served,
    usage,
)

SILENCE = timedelta(seconds=0.5)


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    """A registry of little patience, with the loop beside it."""
    async with (
        served(pool, tmp_path / "blobs", silence=SILENCE) as it,
        running(partial(fail_abandoned, it.uploads)),
    ):
        yield it


async def state(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    status, seen = await send(session, "GET", path)
    assert status == 200
    return dict(seen)


async def failed(session: aiohttp.ClientSession, path: str) -> bool:
    return bool((await state(session, path))["upload_status"] == "failed")


async def test_an_upload_that_was_announced_and_never_came_is_failed(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    path = await create_model(session, "m1", size_bytes=10**9)
    await send(session, "PATCH", f"{path}/start_upload", b"")
    assert await usage(pool) == (10**9, 0)

    await eventually(partial(failed, session, path))

    assert (await state(session, path))["upload_finished_reason"] == INTERRUPTED
    assert await usage(pool) == (0, 0)


async def test_a_pusher_that_falls_silent_loses_its_staging_file_and_its_reservation(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    await create(session, "v1")
    sent = archive("v1")

    status, _ = await send(session, "PUT", f"{BENTOS}/v1/upload", held(sent, asyncio.Event()))

    assert status == 408
    assert registry.staged == []
    assert (await state(session, f"{BENTOS}/v1"))["upload_status"] == "failed"
    assert await usage(pool) == (0, 0)
    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", sent))[0] == 200
    assert await usage(pool) == (0, len(sent))


async def test_a_slow_upload_that_flows_is_left_alone(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    """It takes longer than three times the silence, and so a second or two."""
    await create(session, "v1")
    sent = archive("v1")
    began = asyncio.get_running_loop().time()

    status, _ = await send(
        session,
        "PUT",
        f"{BENTOS}/v1/upload",
        pieces(sent, sizes=len(sent) // 9, pause=0.2),
    )

    assert asyncio.get_running_loop().time() - began > 3 * SILENCE.total_seconds()
    assert status == 200
    assert await usage(pool) == (0, len(sent))


async def test_a_connection_that_breaks_ends_its_upload_at_once(pool: Pool, tmp_path: Path) -> None:
    async with (
        served(pool, tmp_path / "patient") as registry,
        aiohttp.ClientSession(registry.url) as session,
    ):
        await create(session, "v1")
        host, _, port = registry.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"PUT {BENTOS}/v1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10240\r\n\r\n".encode()
            + archive("v1")[:600]
        )
        await eventually(lambda: len(registry.staged) == 1)
        assert await usage(pool) == (10240, 0)

        writer.close()
        await eventually(partial(failed, session, f"{BENTOS}/v1"))
        assert await usage(pool) == (0, 0)
        assert registry.staged == []


def unused(folder: Path) -> FileBlobs:
    return FileBlobs(folder / "unused")


async def begun(pool: Pool, folder: Path) -> tuple[Repository, Version]:
    """An upload whose process is gone: nobody renews it, nobody ends it."""
    registry = Registry(Database(pool, bind))
    repository = await Repositories(Database(pool, bind)).create(
        ORG, Kind.BENTO, name="iris", description="", creator=PERSON
    )
    draft = registry.draft(
        repository, "v1", description="", manifest="{}", labels=(), build_at=datetime.now(UTC)
    )
    version = await registry.create_version(repository, draft)
    uploads = Uploads(Database(pool, bind), unused(folder), silence=timedelta(minutes=1))
    return repository, await uploads.begin(version, 1000)


@pytest.mark.parametrize(("later", "ended"), [(115, 0), (125, 1)])
async def test_only_twice_the_silence_takes_an_upload_from_whoever_receives_it(
    pool: Pool, tmp_path: Path, later: int, ended: int
) -> None:
    await begun(pool, tmp_path)
    sweeping = Uploads(
        Database(pool, bind),
        unused(tmp_path),
        silence=timedelta(minutes=1),
        clock=lambda: datetime.now(UTC) + timedelta(seconds=later),
    )

    assert await sweeping.fail_silent() == ended
    assert await usage(pool) == (1000 * (1 - ended), 0)


async def test_an_upload_that_was_taken_away_can_neither_go_on_nor_end_well(
    pool: Pool, tmp_path: Path
) -> None:
    repository, upload = await begun(pool, tmp_path)
    uploads = Uploads(Database(pool, bind), unused(tmp_path), silence=timedelta(minutes=1))
    assert await uploads.fail_all() == 1

    with pytest.raises(UploadLostError):
        await uploads.renew(upload, 1000)
    with pytest.raises(UploadLostError):
        await uploads.finish(
            repository, upload, Blob(f"sha256:{uuid7().hex}", 1000, b"", "nowhere")
        )
    await uploads.fail(upload, "too late")

    assert await usage(pool) == (0, 0)
    assert await pool.fetchval("SELECT upload_reason FROM version") == INTERRUPTED
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_the_loop_outlives_a_database_that_is_away(database_url: str, tmp_path: Path) -> None:
    async with create_pool(database_url, max_size=1, application_name="test") as closed:
        uploads = Uploads(Database(closed, bind), unused(tmp_path), silence=timedelta(seconds=0.04))
    async with running(partial(fail_abandoned, uploads)):
        await asyncio.sleep(0.1)
