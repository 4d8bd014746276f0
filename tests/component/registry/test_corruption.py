"""Bytes rot where they lie: of ten thousand reads none is wrong, and every one is found."""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.chassis.blobs import CHUNK, Blob, BlobDamagedError, BlobStore, FileBlobs
from libs.chassis.blobs.s3open import client_of, open_s3
from libs.chassis.postgres import Database, Pool
from services.registry.service import Integrity, Tx
from services.registry.wiring import bind
from tests.support.s3 import S3Server

BLOBS = 200
Rot = Callable[[str, random.Random], Awaitable[None]]
"""Of what lies at a place."""


async def stored(
    store: BlobStore, database: Database[Tx], chance: random.Random
) -> list[tuple[Blob, bytes]]:
    found = []
    for number in range(BLOBS):
        size = CHUNK + chance.randrange(CHUNK) if number % 50 == 0 else chance.randrange(1, 40_000)
        content = chance.randbytes(size)
        async with store.receive(size=size) as receiving:
            await receiving.write(content)
            blob = await receiving.commit()
        async with database.transaction() as tx:
            await tx.blobs.keep(blob, now=datetime.now(UTC))
        found.append((blob, content))
    return found


def rotten(whole: bytes, chance: random.Random) -> bytes | None:
    """A flipped bit, a lost tail, a sector of zeros, or nothing at all any more."""
    content = bytearray(whole)
    at = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            content[at] ^= 1 << chance.randrange(8)
        case 1:
            del content[at:]
        case 2:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
            if content == whole:
                content[at] ^= 255
        case _:
            return None
    return bytes(content)


@asynccontextmanager
async def on_disk(folder: Path) -> AsyncIterator[tuple[BlobStore, Rot]]:
    async def rot(place: str, chance: random.Random) -> None:
        path = folder / place
        content = rotten(path.read_bytes(), chance)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    yield FileBlobs(folder), rot


@asynccontextmanager
async def in_a_bucket(server: S3Server) -> AsyncIterator[tuple[BlobStore, Rot]]:
    made = await server.bucket()
    async with open_s3(made) as store, client_of(made, made.endpoint) as client:

        async def rot(place: str, chance: random.Random) -> None:
            answer = await client.get_object(Bucket=made.bucket, Key=place)
            content = rotten(await answer["Body"].read(), chance)
            if content is None:
                await client.delete_object(Bucket=made.bucket, Key=place)
            else:
                await client.put_object(Bucket=made.bucket, Key=place, Body=content)

        yield store, rot


@pytest.fixture
async def store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[BlobStore, Rot]]:
    if request.getfixturevalue("where") == "disk":
        async with on_disk(tmp_path) as opened:
            yield opened
        return
    server: S3Server = request.getfixturevalue("s3_server")
    async with in_a_bucket(server) as opened:
        yield opened


@pytest.mark.parametrize(
    ("where", "reads"),
    [("disk", 10_000), ("bucket", 1_500), pytest.param("bucket", 10_000, marks=pytest.mark.soak)],
)
async def test_no_wrong_byte_is_read_and_every_one_is_found(
    pool: Pool, store: tuple[BlobStore, Rot], where: str, reads: int
) -> None:
    del where  # the store's
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    (blob_store, rot), database = store, Database(pool, bind)
    integrity = Integrity(database, blob_store)
    blobs = await stored(blob_store, database, chance)
    touched = chance.sample(blobs, BLOBS // 4)
    for blob, _ in touched:
        await rot(blob.location, chance)

    wrong = refused = 0
    for _ in range(reads):
        blob, content = chance.choice(blobs)
        first = chance.randrange(blob.size_bytes)
        length = chance.randrange(1, blob.size_bytes - first + 1)
        try:
            got = b"".join(
                [chunk async for chunk in integrity.read(blob, first=first, length=length)]
            )
        except BlobDamagedError:
            refused += 1
        else:
            wrong += got != content[first : first + length]
    assert wrong == 0
    assert refused > 0

    while await integrity.check_oldest(older_than=timedelta(0), bytes_per_second=1e15):
        found = await pool.fetchval("SELECT count(*) FROM blob WHERE state = 'damaged'")
        if found == len(touched):
            break
    damaged = {
        row["digest"] for row in await pool.fetch("SELECT digest FROM blob WHERE state = 'damaged'")
    }
    assert damaged == {blob.digest for blob, _ in touched}
