"""Where the bytes of clients go wrong: old clients, very large bytes, and many hands at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.chassis.auth import generate_keys
from libs.chassis.blobs import BlobStore
from libs.chassis.blobs.s3open import open_s3
from libs.chassis.postgres import Pool
from libs.chassis.signedurls import UrlSigner
from services.registry.controller import verify_sent
from services.registry.http import Urls, transfers
from tests.support.loops import running
from tests.support.registry import BENTOS, Served, archive, create, send, served
from tests.support.s3 import S3Server
from tests.support.transfers import SENT, V1, choose, put

NEW: Final = "1.4.39"
SMALL: Final = archive("v1")


@asynccontextmanager
async def signing(
    pool: Pool, folder: Path, *, store: BlobStore | None = None, verifies: bool = True
) -> AsyncIterator[Served]:
    generate_keys(folder / "keys", ["registry"])
    urls = Urls(UrlSigner("registry", folder / "keys" / "registry.pem"), "http://gateway")
    async with served(pool, folder / "blobs", store=store, urls=urls) as it:
        if not verifies:
            yield it
            return
        async with running(partial(verify_sent, it.cases.verifying, it.sent)):
            yield it


@pytest.fixture(params=["to us", "to s3"])
async def registry(
    request: pytest.FixtureRequest, pool: Pool, tmp_path: Path
) -> AsyncIterator[Served]:
    if request.param == "to us":
        async with signing(pool, tmp_path) as it:
            yield it
        return
    server: S3Server = request.getfixturevalue("s3_server")
    async with (
        open_s3(await server.bucket()) as store,
        signing(pool, tmp_path, store=store) as it,
    ):
        yield it


def client(registry: Served, version: str | None) -> aiohttp.ClientSession:
    headers = {"X-Bentoml-Version": version} if version else {}
    return aiohttp.ClientSession(registry.url, headers=headers)


async def pulled(session: aiohttp.ClientSession, seen: dict[str, Any]) -> bytes:
    """From the URL, as somebody who has nothing else."""
    url = str(seen["presigned_download_url"])
    base = str(session._base_url).rstrip("/")
    async with (
        aiohttp.ClientSession() as anybody,
        anybody.get(url.replace("http://gateway", base)) as answer,
    ):
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize("strategy", ["proxy", "presigned"])
@pytest.mark.parametrize("version", [None, "1.0.6"])
async def test_the_oldest_clients_always_get_signed_urls(
    registry: Served, version: str | None, strategy: str
) -> None:
    """Up to 1.0.6 they know nothing else, and send to whatever stands there: also to nothing."""
    async with client(registry, version) as session:
        await choose(session, strategy)
        await create(session, "v1")
        _, seen = await send(session, "PATCH", f"{V1}/presign_upload_url")
        assert seen["presigned_urls_deprecated"] is False
        await send(session, "PATCH", f"{V1}/start_upload")
        assert (await put(session, seen["presigned_upload_url"], SMALL))[0] == 200
        status, seen = await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
        assert (status, seen["upload_status"]) == (200, "success")
        _, seen = await send(session, "PATCH", f"{V1}/presign_download_url")
        assert await pulled(session, seen) == SMALL


@pytest.mark.parametrize(("setting", "version"), [("presigned", NEW), ("proxy", "1.2.20")])
async def test_what_a_bucket_does_not_take_at_once_is_sent_in_parts(
    pool: Pool, tmp_path: Path, s3_server: S3Server, setting: str, version: str
) -> None:
    """Clients have no limit of their own: they PUT 10 GB if they are given one URL."""
    async with (
        open_s3(await s3_server.bucket()) as store,
        signing(pool, tmp_path, store=store) as registry,
        client(registry, version) as session,
    ):
        await choose(session, setting)
        await create(session, "v0", size_bytes=2**30)
        assert (await send(session, "GET", f"{BENTOS}/v0"))[1]["transmission_strategy"] is None
        await create(session, "v1", size_bytes=10 * 2**30)
        _, seen = await send(session, "GET", V1)
        assert seen["transmission_strategy"] == "presigned_url"
        await in_parts(session, SENT, size=5 * 2**20)
        status, seen = await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
        assert status == 200, seen
        _, seen = await send(session, "PATCH", f"{V1}/presign_download_url")
        assert seen["transmission_strategy"] == "presigned_url"
        assert await pulled(session, seen) == SENT


async def test_a_disk_takes_any_size_at_once(pool: Pool, tmp_path: Path) -> None:
    async with signing(pool, tmp_path) as registry, client(registry, NEW) as session:
        await choose(session, "presigned")
        await create(session, "v1", size_bytes=10 * 2**30)
        assert (await send(session, "GET", V1))[1]["transmission_strategy"] is None


async def in_parts(session: aiohttp.ClientSession, content: bytes, *, size: int) -> None:
    """By ten hands, which finish in whatever order."""
    await send(session, "PATCH", f"{V1}/start_upload")
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    upload, hands = begun["upload_id"], asyncio.Semaphore(10)

    async def one(number: int, piece: bytes) -> dict[str, Any]:
        async with hands:
            asked = {"upload_id": upload, "part_number": number}
            _, seen = await send(session, "PATCH", f"{V1}/presign_multipart_upload_url", asked)
            status, etag = await put(session, seen["presigned_upload_url"], piece)
            assert status == 200
            return {"part_number": number, "etag": etag}

    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    numbered = [*enumerate(pieces, start=1)]
    parts = await asyncio.gather(*(one(*each) for each in reversed(numbered)))
    done = {"upload_id": upload, "parts": parts[::-1]}
    assert (await send(session, "PATCH", f"{V1}/complete_multipart_upload", done))[0] == 200


async def test_parts_come_by_many_hands_in_any_order(pool: Pool, tmp_path: Path) -> None:
    """A client has ten threads for them."""
    async with signing(pool, tmp_path) as registry, client(registry, NEW) as session:
        await choose(session, "multipart")
        await create(session, "v1")
        await in_parts(session, SENT, size=len(SENT) // 30)
        status, _ = await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
        assert status == 200
        assert await send(session, "GET", f"{V1}/download") == (200, SENT)


async def test_a_finished_upload_is_answered_before_its_client_gives_up(
    pool: Pool, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits a minute. What is verified still has a status that it knows."""
    assert transfers.PATIENCE.total_seconds() < 55
    monkeypatch.setattr(transfers, "PATIENCE", timedelta(seconds=0.2))
    async with (
        open_s3(await s3_server.bucket()) as store,
        signing(pool, tmp_path, store=store, verifies=False) as registry,
        client(registry, NEW) as session,
    ):
        await choose(session, "multipart")
        await create(session, "v1")
        await in_parts(session, SENT, size=5 * 2**20)
        status, seen = await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
        assert (status, seen["upload_status"]) == (200, "success")
        assert await pool.fetchval("SELECT upload_status FROM version") == "verifying"
        assert (await send(session, "GET", V1))[1]["upload_status"] == "success"


async def test_a_client_may_say_at_length_why_it_failed(pool: Pool, tmp_path: Path) -> None:
    """It sends the whole page with which something between refused its bytes."""
    async with signing(pool, tmp_path) as registry, client(registry, NEW) as session:
        await create(session, "v1")
        failed = {"status": "failed", "reason": "<html>" + "\N{SLOTH}" * 100_000}
        status, seen = await send(session, "PATCH", f"{V1}/finish_upload", failed)
        assert (status, seen["upload_status"]) == (200, "failed")
        assert seen["upload_finished_reason"].startswith("<html>\N{SLOTH}")
