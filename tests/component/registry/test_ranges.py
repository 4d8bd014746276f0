"""A download that broke off is resumed: every byte of a range is checked like all others."""

import hashlib
import random
from pathlib import Path

import aiohttp
import pytest

from libs.chassis.blobs import CHUNK
from tests.support.registry import BENTOS, archive, create, send

DOWNLOAD = f"{BENTOS}/v1/download"
SENT = archive("v1", payload=random.Random(3).randbytes(2 * CHUNK + 12345))  # noqa: S311 - no secret
SIZE = len(SENT)
ETAG = f'"sha256:{hashlib.sha256(SENT).hexdigest()}"'


@pytest.fixture(autouse=True)
async def _pushed(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")
    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", SENT))[0] == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK),
        (f"bytes={CHUNK}-", CHUNK, SIZE - 1),
        ("bytes=-100", SIZE - 100, SIZE - 1),
        (f"bytes=5-{SIZE * 2}", 5, SIZE - 1),
        (f"bytes=-{SIZE * 2}", 0, SIZE - 1),
    ],
)
async def test_a_range_is_those_bytes(
    session: aiohttp.ClientSession, asked: str, first: int, last: int
) -> None:
    async with session.get(DOWNLOAD, headers={"Range": asked}) as answer:
        body = await answer.read()

    assert body == SENT[first : last + 1]
    assert answer.headers["ETag"] == ETAG
    if len(body) < SIZE:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Range": "bytes=1-2,4-5"},
        {"Range": "rows=1-2"},
        {"Range": "bytes=9-1"},
        {"Range": "bytes=1-2", "If-Range": '"sha256:other"'},
    ],
)
async def test_what_is_no_single_range_of_these_bytes_is_everything(
    session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with session.get(DOWNLOAD, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, SENT)


async def test_a_range_behind_the_end_is_refused(session: aiohttp.ClientSession) -> None:
    async with session.get(DOWNLOAD, headers={"Range": f"bytes={SIZE}-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


async def test_a_head_says_what_there_is(session: aiohttp.ClientSession) -> None:
    async with session.head(DOWNLOAD) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(SIZE)
        assert (answer.headers["ETag"], answer.headers["Accept-Ranges"]) == (ETAG, "bytes")


async def test_a_damaged_chunk_is_in_no_range(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    [blob] = (path for path in (tmp_path / "blobs/sha256").rglob("*") if path.is_file())
    raw = bytearray(blob.read_bytes())
    raw[CHUNK + 7] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(raw)

    async with session.get(DOWNLOAD, headers={"Range": "bytes=0-9"}) as answer:
        assert await answer.read() == SENT[:10], "its own chunk is whole"
    async with session.get(DOWNLOAD, headers={"Range": f"bytes={CHUNK + 100}-"}) as answer:
        assert answer.status == 503
