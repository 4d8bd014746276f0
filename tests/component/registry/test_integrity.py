"""Wrong bytes are never served: they are put aside, said, and brought back by a push."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.blobs import CHUNK, BlobStore, FileBlobs
from libs.chassis.blobs.s3open import client_of, open_s3
from libs.chassis.blobs.settings import S3Settings
from libs.chassis.postgres import Pool
from services.registry.controller import Scrubber
from services.registry.service import Integrity
from tests.support.loops import eventually, running
from tests.support.registry import BENTOS, Served, archive, create, send, served
from tests.support.s3 import S3Server

SENT = archive("v1", payload=b"7" * (2 * CHUNK))


class Damager:
    """Overwrites a stored blob behind the store's back."""

    def __init__(self, root: Path, bucket: S3Settings | None) -> None:
        self._root = root
        self._bucket = bucket

    async def flip(self, pool: Pool, at: int) -> None:
        place = str(await pool.fetchval("SELECT place FROM blob"))
        if self._bucket is None:
            content = bytearray((self._root / place).read_bytes())
            content[at] ^= 1
            (self._root / place).write_bytes(content)
            return
        async with client_of(self._bucket, self._bucket.endpoint) as client:
            where: Any = {"Bucket": self._bucket.bucket, "Key": place}
            found = await client.get_object(**where)
            content = bytearray(await found["Body"].read())
            content[at] ^= 1
            await client.put_object(**where, Body=io.BytesIO(content))

    async def aside(self) -> list[str]:
        if self._bucket is None:
            return [each.name for each in (self._root / "quarantine").iterdir()]
        async with client_of(self._bucket, self._bucket.endpoint) as client:
            listed = await client.list_objects_v2(Bucket=self._bucket.bucket, Prefix="quarantine/")
            return [each["Key"] for each in listed.get("Contents", [])]


@asynccontextmanager
async def _store(
    kind: str, folder: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[BlobStore, Damager]]:
    if kind == "files":
        yield FileBlobs(folder), Damager(folder, None)
        return
    server: S3Server = request.getfixturevalue("s3_server")
    bucket = await server.bucket()
    async with open_s3(bucket) as opened:
        yield opened, Damager(folder, bucket)


@pytest.fixture(params=["files", "s3"])
async def kept(
    request: pytest.FixtureRequest, pool: Pool, tmp_path: Path
) -> AsyncIterator[tuple[Served, Damager]]:
    async with (
        _store(request.param, tmp_path / "blobs", request) as (store, damager),
        served(pool, tmp_path / "blobs", store=store) as it,
    ):
        yield it, damager


async def push(session: aiohttp.ClientSession) -> dict[str, Any]:
    status, seen = await send(session, "PUT", f"{BENTOS}/v1/upload", SENT)
    assert status == 200, seen
    return dict(seen)


async def download(session: aiohttp.ClientSession, got: bytearray) -> None:
    async with session.get(f"{BENTOS}/v1/download") as answer:
        assert answer.status == 200
        async for chunk in answer.content.iter_any():
            got.extend(chunk)


async def said(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT body FROM outbox ORDER BY id")
    found = [json.loads(row["body"]) for row in rows]
    return [(each["type"].split(".")[3], each["data"].get("found", "")) for each in found]


async def test_a_damaged_first_byte_is_an_error_and_not_an_answer(
    kept: tuple[Served, Damager], pool: Pool
) -> None:
    registry, damager = kept
    async with aiohttp.ClientSession(registry.url) as session:
        await create(session, "v1")
        await push(session)
        await damager.flip(pool, 5)

        status, problem = await send(session, "GET", f"{BENTOS}/v1/download")
        assert status == 503
        assert problem["type"].endswith("/blob-damaged")
        assert await said(pool) == [("pushed", ""), ("damaged", "read")]
        assert len(await damager.aside()) == 1
        status, seen = await send(session, "GET", f"{BENTOS}/v1")
        assert seen["upload_status"] == "failed"
        assert "push again" in seen["upload_finished_reason"]
        status, _ = await send(session, "GET", f"{BENTOS}/v1/download")
        assert status == 409

        await push(session)
        status, content = await send(session, "GET", f"{BENTOS}/v1/download")
        assert (status, content) == (200, SENT)


async def test_damage_in_the_middle_breaks_the_answer_off_before_it(
    kept: tuple[Served, Damager], pool: Pool
) -> None:
    registry, damager = kept
    async with aiohttp.ClientSession(registry.url) as session:
        await create(session, "v1")
        await push(session)
        await damager.flip(pool, CHUNK + 9)
        got = bytearray()
        with pytest.raises(aiohttp.ClientError):
            await download(session, got)
        assert SENT.startswith(bytes(got))
        assert len(got) <= CHUNK
    assert await said(pool) == [("pushed", ""), ("damaged", "read")]


async def test_the_scrubber_finds_what_nobody_reads(
    kept: tuple[Served, Damager], pool: Pool
) -> None:
    registry, damager = kept
    async with aiohttp.ClientSession(registry.url) as session:
        await create(session, "v1")
        await push(session)
        before = await pool.fetchval("SELECT verified_at FROM blob")
        scrubber = Scrubber(
            registry.cases.integrity, period=timedelta(microseconds=1), bytes_per_second=1e12
        )
        async with running(scrubber.run):
            await eventually(partial(_verified_after, pool, before))
            assert await said(pool) == [("pushed", "")]
            await damager.flip(pool, 2 * CHUNK)
            await eventually(partial(_is_damaged, pool))
        assert await said(pool) == [("pushed", ""), ("damaged", "check")]
        status, _ = await send(session, "GET", f"{BENTOS}/v1/download")
        assert status == 409


async def test_a_scrubber_reads_only_what_is_due(kept: tuple[Served, Damager], pool: Pool) -> None:
    registry, damager = kept
    async with aiohttp.ClientSession(registry.url) as session:
        await create(session, "v1")
        await push(session)
    await damager.flip(pool, 0)
    integrity: Integrity = registry.cases.integrity
    month = timedelta(days=30)
    assert await integrity.check_oldest(older_than=month, bytes_per_second=1e12) is None
    await pool.execute("UPDATE blob SET verified_at = now() - interval '31 days'")
    checked = await integrity.check_oldest(older_than=month, bytes_per_second=1e12)
    assert checked is not None
    assert not checked.is_right


async def test_many_readers_of_one_damage_report_it_once(
    kept: tuple[Served, Damager], pool: Pool
) -> None:
    registry, damager = kept
    async with aiohttp.ClientSession(registry.url) as session:
        await create(session, "v1")
        await push(session)
        await damager.flip(pool, 0)
        asked = (send(session, "GET", f"{BENTOS}/v1/download") for _ in range(10))
        statuses = {status for status, _ in await asyncio.gather(*asked)}
    assert statuses <= {503, 409}
    assert await said(pool) == [("pushed", ""), ("damaged", "read")]


async def _verified_after(pool: Pool, before: object) -> bool:
    return bool(await pool.fetchval("SELECT verified_at > $1 FROM blob", before))


async def _is_damaged(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT state = 'damaged' FROM blob"))
