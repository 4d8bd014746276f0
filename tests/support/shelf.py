"""Versions that are pushed, held, deleted and collected, as tests want to say it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from libs.chassis.blobs import FileBlobs
from libs.chassis.postgres import Database, Pool
from services.registry.service import UseCases, use_cases
from services.registry.wiring import bind
from tests.support.registry import (
    BENTOS,
    PATIENCE,
    archive,
    archive_of,
    create,
    create_model,
    send,
)

IRIS = "/api/registry/bentos/iris"


async def push(session: aiohttp.ClientSession, *versions: str, **manifest: object) -> None:
    for each in versions:
        await create(session, each, **manifest)
        status, seen = await send(session, "PUT", f"{BENTOS}/{each}/upload", archive(each))
        assert status == 200, seen


async def push_model(session: aiohttp.ClientSession, version: str) -> None:
    path = await create_model(session, version)
    status, seen = await send(session, "PUT", f"{path}/upload", archive_of(f"{path}/upload"))
    assert status == 200, seen


def later(pool: Pool, folder: Path, **ahead: float) -> UseCases:
    """The registry's use cases, some time later."""
    day = timedelta(days=1)
    database, store = Database(pool, bind), FileBlobs(folder / "blobs")
    cases = use_cases(database, store, silence=day, undo=7 * day, patience=PATIENCE)
    for each in (cases.deletion, cases.collection, cases.retentions, cases.holds):
        each._clock = lambda: datetime.now(UTC) + timedelta(**ahead)
    return cases


def files(folder: Path) -> list[Path]:
    return [each for each in (folder / "blobs" / "sha256").rglob("*") if each.is_file()]


async def said(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT type FROM outbox ORDER BY id")
    return [".".join(row["type"].split(".")[2:4]) for row in rows]


async def hold(session: aiohttp.ClientSession, version: str, revision: object) -> int:
    _, seen = await send(session, "GET", f"{BENTOS}/{version}")
    body = {"bento_id": seen["uid"], "deployment": "default.iris"}
    as_deployer = {"X-Test-Issuer": "deployer"}
    async with session.put(f"/internal/holds/{revision}", json=body, headers=as_deployer) as answer:
        return answer.status


async def release(session: aiohttp.ClientSession, revision: object) -> int:
    as_deployer = {"X-Test-Issuer": "deployer"}
    async with session.delete(f"/internal/holds/{revision}", headers=as_deployer) as answer:
        return answer.status
