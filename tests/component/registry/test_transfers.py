"""Bytes by signed URL: whole or in parts, to a bucket or to us; verified before they are seen."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.auth import generate_keys
from libs.chassis.blobs import BlobStore, FileBlobs
from libs.chassis.blobs.s3open import client_of, open_s3
from libs.chassis.blobs.settings import S3Settings
from libs.chassis.postgres import Pool
from libs.chassis.signedurls import UrlSigner
from services.registry.controller import verify_sent
from services.registry.http import Urls
from services.registry.service import Transfers
from tests.support.loops import running
from tests.support.registry import BENTOS, Served, archive, create, send, served, usage
from tests.support.s3 import S3Server
from tests.support.shelf import said
from tests.support.transfers import PART, SENT, V1, begin, push_parts, push_whole, put


@asynccontextmanager
async def _store(
    kind: str, folder: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[BlobStore, S3Settings | None]]:
    if kind == "to us":
        yield FileBlobs(folder), None
        return
    server: S3Server = request.getfixturevalue("s3_server")
    bucket = await server.bucket()
    async with open_s3(bucket) as opened:
        yield opened, bucket


@pytest.fixture(params=["to us", "to s3"])
async def kept(
    request: pytest.FixtureRequest, pool: Pool, tmp_path: Path
) -> AsyncIterator[tuple[Served, S3Settings | None]]:
    generate_keys(tmp_path / "keys", ["registry"])
    urls = Urls(UrlSigner("registry", tmp_path / "keys" / "registry.pem"), "http://gateway")
    async with (
        _store(request.param, tmp_path / "blobs", request) as (store, bucket),
        served(pool, tmp_path / "blobs", store=store, urls=urls) as it,
        running(partial(verify_sent, it.cases.verifying, it.sent)),
    ):
        yield it, bucket


@pytest.fixture
async def session(kept: tuple[Served, Any]) -> AsyncIterator[aiohttp.ClientSession]:
    registry, _ = kept
    async with aiohttp.ClientSession(registry.url) as opened:
        yield opened


async def lying(kept: tuple[Served, S3Settings | None]) -> list[str]:
    """Everything in the store, half sent or not."""
    registry, bucket = kept
    if bucket is None:
        folders = [registry.folder / each for each in ("sha256", "receiving")]
        return [each.name for folder in folders for each in folder.rglob("*") if each.is_file()]
    async with client_of(bucket, bucket.endpoint) as client:
        listed = await client.list_objects_v2(Bucket=bucket.bucket)
        uploads = await client.list_multipart_uploads(Bucket=bucket.bucket)
    keys = [each["Key"] for each in listed.get("Contents", []) if each["Key"] != "probe"]
    return keys + [each["Key"] for each in uploads.get("Uploads", [])]


@pytest.mark.parametrize(
    ("strategy", "wire", "push"),
    [("presigned", None, push_whole), ("multipart", "presigned_url", push_parts)],
)
async def test_a_push_by_signed_urls(
    kept: tuple[Served, Any],
    session: aiohttp.ClientSession,
    pool: Pool,
    strategy: str,
    wire: str | None,
    push: Any,
) -> None:
    await begin(session, strategy)
    _, seen = await send(session, "GET", V1)
    assert seen["transmission_strategy"] == wire
    status, seen = await push(session, SENT)
    assert (status, seen["upload_status"]) == (200, "success"), seen
    assert await send(session, "GET", f"{V1}/download") == (200, SENT)
    assert await said(pool) == ["bento.pushed"]
    assert await usage(pool) == (0, len(SENT))
    assert len(await lying(kept)) == 1, "nothing of the sending is left"
    assert await pool.fetchval("SELECT count(*) FROM transfer") == 0


@pytest.mark.parametrize(
    ("strategy", "push"), [("presigned", push_whole), ("multipart", push_parts)]
)
async def test_what_is_no_archive_of_the_version_never_becomes_it(
    kept: tuple[Served, Any], session: aiohttp.ClientSession, pool: Pool, strategy: str, push: Any
) -> None:
    await begin(session, strategy)
    for content in (archive("v2"), os.urandom(9_000), SENT[:PART]):
        status, problem = await push(session, content)
        assert status in {409, 422}, problem
        _, seen = await send(session, "GET", V1)
        assert seen["upload_status"] == "failed"
        assert await lying(kept) == []
    assert await said(pool) == []
    status, _ = await push(session, SENT)
    assert status == 200


async def test_parts_that_failed_are_no_upload_and_leave_nothing(
    kept: tuple[Served, Any], session: aiohttp.ClientSession
) -> None:
    """A client says complete with what it has, and then that it failed."""
    await begin(session, "multipart")
    for sent in (0, 1):
        await send(session, "PATCH", f"{V1}/start_upload")
        _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
        parts = []
        for number in range(1, sent + 1):
            asked = {"upload_id": begun["upload_id"], "part_number": number}
            _, seen = await send(session, "PATCH", f"{V1}/presign_multipart_upload_url", asked)
            _, etag = await put(session, seen["presigned_upload_url"], SENT[:PART])
            parts.append({"part_number": number, "etag": etag})
        done = {"upload_id": begun["upload_id"], "parts": parts}
        assert (await send(session, "PATCH", f"{V1}/complete_multipart_upload", done))[0] == 200
        failed = {"status": "failed", "reason": "part 2: 503"}
        status, seen = await send(session, "PATCH", f"{V1}/finish_upload", failed)
        assert (status, seen["upload_status"]) == (200, "failed")
        assert seen["upload_finished_reason"] == "part 2: 503"
        assert await lying(kept) == []


async def test_a_success_without_bytes_is_none(session: aiohttp.ClientSession) -> None:
    await begin(session, "presigned")
    done = {"status": "success"}
    assert (await send(session, "PATCH", f"{V1}/finish_upload", done))[0] == 409
    await send(session, "PATCH", f"{V1}/presign_upload_url", {})
    await send(session, "PATCH", f"{V1}/start_upload")
    status, problem = await send(session, "PATCH", f"{V1}/finish_upload", done)
    assert status in {409, 422}, problem
    assert (await send(session, "GET", V1))[1]["upload_status"] == "failed"


async def test_a_part_that_comes_again_replaces_the_one_before(
    kept: tuple[Served, Any], session: aiohttp.ClientSession
) -> None:
    await begin(session, "multipart")
    await send(session, "PATCH", f"{V1}/start_upload")
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    upload, parts = begun["upload_id"], []
    for number, at in enumerate(range(0, len(SENT), PART), start=1):
        asked = {"upload_id": upload, "part_number": number}
        _, seen = await send(session, "PATCH", f"{V1}/presign_multipart_upload_url", asked)
        await put(session, seen["presigned_upload_url"], b"x" * PART)
        _, etag = await put(session, seen["presigned_upload_url"], SENT[at : at + PART])
        parts.append({"part_number": number, "etag": etag})
    done = {"upload_id": upload, "parts": parts}
    await send(session, "PATCH", f"{V1}/complete_multipart_upload", done)
    status, _ = await send(session, "PATCH", f"{V1}/finish_upload", {"status": "success"})
    assert status == 200
    assert (await send(session, "GET", f"{V1}/download"))[1] == SENT
    assert len(await lying(kept)) == 1


async def test_an_upload_is_its_organisations_and_versions(
    kept: tuple[Served, Any], session: aiohttp.ClientSession
) -> None:
    registry, _ = kept
    await begin(session, "multipart")
    await create(session, "v2")
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    asked = {"upload_id": begun["upload_id"], "part_number": 1}
    other = f"{BENTOS}/v2/presign_multipart_upload_url"
    assert (await send(session, "PATCH", other, asked))[0] == 404
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as stranger:
        await create(stranger, "v1")
        path = f"{V1}/presign_multipart_upload_url"
        assert (await send(stranger, "PATCH", path, asked))[0] == 404
        path = f"/api/registry/transfers/{begun['upload_id']}/1"
        assert (await send(stranger, "PUT", path, b"x"))[0] == 404


async def test_uploads_that_nobody_finishes_are_forgotten(
    kept: tuple[Served, Any], session: aiohttp.ClientSession, pool: Pool
) -> None:
    registry, _ = kept
    await begin(session, "multipart")
    _, begun = await send(session, "PATCH", f"{V1}/start_multipart_upload")
    asked = {"upload_id": begun["upload_id"], "part_number": 1}
    _, seen = await send(session, "PATCH", f"{V1}/presign_multipart_upload_url", asked)
    await put(session, seen["presigned_upload_url"], SENT[:PART])
    transfers: Transfers = registry.cases.transfers
    await transfers.forget_expired()
    assert len(await lying(kept)) == 1
    transfers._clock = lambda: datetime.now(UTC) + timedelta(hours=25)
    await transfers.forget_expired()
    assert await lying(kept) == []
    assert await pool.fetchval("SELECT count(*) FROM transfer") == 0


async def test_clients_that_double_a_header_get_a_signed_url_instead(
    session: aiohttp.ClientSession,
) -> None:
    await create(session, "v1")
    for version, strategy in {
        "1.1.11": "proxy",
        "1.2.0": None,
        "1.3.5": None,
        "1.3.6": "proxy",
        "1.4.39": "proxy",
    }.items():
        async with session.get(V1, headers={"X-Bentoml-Version": version}) as answer:
            assert (await answer.json())["transmission_strategy"] == strategy
        headers = {"X-Bentoml-Version": version}
        async with session.patch(f"{V1}/presign_upload_url", headers=headers) as answer:
            seen = await answer.json()
        assert bool(seen["presigned_upload_url"]) == (strategy is None)


async def test_a_pull_is_sent_to_the_store_that_can(
    kept: tuple[Served, Any], session: aiohttp.ClientSession
) -> None:
    _, bucket = kept
    session.headers["X-Bentoml-Version"] = "1.4.39"
    await begin(session, "presigned")
    await push_whole(session, SENT)
    _, seen = await send(session, "PATCH", f"{V1}/presign_download_url", {})
    url = seen["presigned_download_url"]
    assert bool(url) == (bucket is not None)
    if url:
        async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
            assert await answer.read() == SENT


async def test_a_client_that_takes_urls_only_gets_one_for_its_pull(
    session: aiohttp.ClientSession,
) -> None:
    await begin(session, "multipart")
    await push_parts(session, SENT)
    _, seen = await send(session, "PATCH", f"{V1}/presign_download_url", {})
    url = seen["presigned_download_url"].replace("http://gateway", "")
    assert (await send(session, "GET", url)) == (200, SENT)


async def test_a_version_is_seen_by_nobody_before_it_is_verified(
    pool: Pool, tmp_path: Path, s3_server: S3Server
) -> None:
    """Here nobody verifies; the client stops waiting, and all it knows is that it sent."""
    bucket = await s3_server.bucket()
    async with (
        open_s3(bucket) as store,
        served(pool, tmp_path / "blobs", store=store) as registry,
        aiohttp.ClientSession(registry.url) as session,
    ):
        await begin(session, "presigned")
        finishing = asyncio.create_task(push_whole(session, SENT))
        async with asyncio.timeout(20):
            while await pool.fetchval("SELECT upload_status FROM version") != "verifying":
                await asyncio.sleep(0.05)
        status, problem = await send(session, "GET", f"{V1}/download")
        assert (status, problem["type"]) == (503, "/problems/version-verifying")
        assert (await send(session, "GET", f"{BENTOS}/latest"))[0] == 404
        assert not finishing.done()
        async with running(partial(verify_sent, registry.cases.verifying, registry.sent)):
            status, _ = await finishing
        assert status == 200
        assert (await send(session, "GET", f"{BENTOS}/latest"))[0] == 200
