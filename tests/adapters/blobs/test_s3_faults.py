"""A bucket that fails: clean errors or success, never a lie."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.chassis.blobs import (
    CHUNK,
    Blob,
    BlobDamagedError,
    BlobStore,
    BlobsUnavailableError,
)
from libs.chassis.blobs.s3open import open_s3
from tests.support.s3 import S3Server
from tests.support.s3faults import Fault, Faults, in_front_of

pytestmark = pytest.mark.long

SIZES = [100, CHUNK + 5, 17 * 2**20]


@asynccontextmanager
async def _failing(server: S3Server) -> AsyncIterator[tuple[BlobStore, Faults]]:
    faults = Faults()
    bucket = await server.bucket()
    async with in_front_of(server.endpoint, faults) as url:
        told = bucket.model_copy(update={"endpoint": url})
        async with open_s3(told) as store:
            yield store, faults
            faults.kinds = ()


@pytest.fixture
async def failing(s3_server: S3Server) -> AsyncIterator[tuple[BlobStore, Faults]]:
    async with _failing(s3_server) as both:
        yield both


async def keep(store: BlobStore, content: bytes) -> Blob:
    async with store.receive(size=len(content)) as receiving:
        for at in range(0, len(content), 2**20):
            await receiving.write(content[at : at + 2**20])
        return await receiving.commit()


async def read(store: BlobStore, blob: Blob) -> bytes:
    return b"".join([chunk async for chunk in store.read(blob)])


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(("503", "500"), id="busy and broken"),
        pytest.param(("lost",), id="answers get lost"),
        pytest.param(("error in 200",), id="an error in a 200"),
        pytest.param(("503", "lost", "error in 200", "cut", "slow"), id="everything"),
    ],
)
async def test_what_is_said_to_be_stored_is_and_what_is_read_is_right(
    failing: tuple[BlobStore, Faults], kinds: tuple[Fault, ...]
) -> None:
    store, faults = failing
    stored: list[tuple[Blob, bytes]] = []
    refused = 0
    faults.kinds, faults.share = kinds, 0.3
    for turn in range(6):
        content = os.urandom(SIZES[turn % 3])
        try:
            stored.append((await keep(store, content), content))
        except BlobsUnavailableError:
            refused += 1
    for blob, content in stored:
        try:
            assert await read(store, blob) == content
        except (BlobsUnavailableError, BlobDamagedError):
            refused += 1
    faults.kinds = ()
    for blob, content in stored:
        assert await read(store, blob) == content, "it was said to be stored"
    print(len(stored), refused, dict(faults.done))
    assert sum(faults.done.values()) > 0
    assert len(stored) >= 3, "most tries get through"


async def test_a_store_that_is_away_is_said_so_and_forgotten_when_it_is_back(
    failing: tuple[BlobStore, Faults],
) -> None:
    store, faults = failing
    faults.kinds, faults.share = ("503",), 1.0
    with pytest.raises(BlobsUnavailableError, match="try again"):
        await keep(store, b"x")
    faults.kinds = ()
    blob = await keep(store, b"x")
    assert await read(store, blob) == b"x"


async def test_a_slow_store_holds_up_only_those_who_use_it(
    failing: tuple[BlobStore, Faults],
) -> None:
    store, faults = failing
    blob = await keep(store, os.urandom(5 * CHUNK))
    faults.kinds, faults.share = ("slow",), 1.0
    clock = asyncio.get_running_loop()
    begun, late = clock.time(), 0.0
    reading = asyncio.create_task(read(store, blob))
    while not reading.done():
        before = clock.time()
        await asyncio.sleep(0.01)
        late = max(late, clock.time() - before)
    assert len(await reading) == 5 * CHUNK
    assert clock.time() - begun > 0.5
    assert late < 0.4, "the loop went on"
