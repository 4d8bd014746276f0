"""What every store of blobs promises."""

import asyncio
import hashlib
import os

import pytest

from libs.chassis.blobs import CHUNK, Blob, BlobDamagedError, BlobStore, Stored

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 5 * CHUNK + 7, 9 * CHUNK + 1]


class Silent:
    def feed(self, chunk: memoryview) -> None:
        del chunk


class Refusing:
    """Sees so many bytes, and then has enough."""

    def __init__(self, most: int) -> None:
        self._left = most

    def feed(self, chunk: memoryview) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise ValueError("enough")


async def keep(store: BlobStore, content: bytes, *, piece: int = 2**18) -> Blob:
    async with store.receive(Silent(), size=len(content)) as receiving:
        for at in range(0, len(content), piece):
            await receiving.write(content[at : at + piece])
        return await receiving.commit()


async def read(store: BlobStore, blob: Blob, *, first: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(blob, first=first, length=length)])


async def everything(store: BlobStore) -> dict[str, Stored]:
    return {each.location: each async for each in store.everything()}


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_received_is_read_and_known_by_its_digest(
    store: BlobStore, size: int
) -> None:
    content = os.urandom(size)
    blob = await keep(store, content)
    assert blob.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert blob.size_bytes == size
    assert await read(store, blob) == content
    assert await read(store, blob) == content  # now perhaps from a cache
    assert (await everything(store))[blob.location].size_bytes == size


async def test_any_range_is_read(store: BlobStore) -> None:
    content = os.urandom(3 * CHUNK + 5)
    blob = await keep(store, content)
    for first, length in [(0, 1), (CHUNK - 1, 2), (CHUNK, CHUNK), (5, 2 * CHUNK), (3 * CHUNK, 99)]:
        assert await read(store, blob, first=first, length=length) == content[first:][:length]


async def test_an_upload_that_breaks_off_leaves_nothing(store: BlobStore) -> None:
    async def broken(size: int) -> None:
        async with store.receive(Silent()) as receiving:
            await receiving.write(os.urandom(size))
            raise ConnectionError

    for size in (0, 100, 9 * CHUNK):
        with pytest.raises(ConnectionError):
            await broken(size)
    assert await everything(store) == {}


async def test_an_upload_that_is_cancelled_leaves_nothing(store: BlobStore) -> None:
    async def endless() -> None:
        async with store.receive(Silent()) as receiving:
            while True:
                await receiving.write(bytes(CHUNK))

    task = asyncio.create_task(endless())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await everything(store) == {}


@pytest.mark.parametrize("most", [0, CHUNK, 6 * CHUNK])
async def test_what_the_observer_refuses_is_not_kept(store: BlobStore, most: int) -> None:
    async def refused() -> None:
        async with store.receive(Refusing(most)) as receiving:
            await receiving.write(bytes(most + CHUNK))
            await receiving.commit()

    with pytest.raises(ValueError, match="enough"):
        await refused()
    assert await everything(store) == {}


async def test_the_same_bytes_lie_apart_so_that_one_receipt_never_touches_another(
    store: BlobStore,
) -> None:
    one, other = [await keep(store, b"the same") for _ in range(2)]
    assert one.digest == other.digest
    assert one.location != other.location
    await store.remove(one.location)
    assert await read(store, other) == b"the same"


async def test_what_is_removed_or_quarantined_is_not_served(store: BlobStore) -> None:
    for forget in (store.remove, store.quarantine):
        blob = await keep(store, os.urandom(CHUNK + 1))
        await forget(blob.location)
        await forget(blob.location)  # idempotent
        assert await everything(store) == {}
        with pytest.raises(BlobDamagedError, match="are gone"):
            await read(store, blob)


async def test_bytes_that_are_others_than_were_received_are_never_served(store: BlobStore) -> None:
    content = os.urandom(3 * CHUNK)
    blob, other = await keep(store, content), await keep(store, bytes(3 * CHUNK))
    wrong = Blob(blob.digest, blob.size_bytes, blob.chunks, other.location)
    with pytest.raises(BlobDamagedError, match="damaged at byte 0"):
        await read(store, wrong)


async def test_bytes_that_lost_their_end_are_never_served(store: BlobStore) -> None:
    content = os.urandom(2 * CHUNK)
    blob, shorter = await keep(store, content), await keep(store, content[:CHUNK])
    cut = Blob(blob.digest, blob.size_bytes, blob.chunks, shorter.location)
    with pytest.raises(BlobDamagedError, match=f"damaged at byte {CHUNK}"):
        await read(store, cut)


async def test_a_reader_that_goes_away_leaves_nothing_behind(store: BlobStore) -> None:
    blob = await keep(store, os.urandom(6 * CHUNK))
    reading = store.read(blob)
    assert await anext(aiter(reading))
    await reading.aclose()


async def test_many_read_the_same_at_once(store: BlobStore) -> None:
    content = os.urandom(2 * CHUNK + 9)
    blob = await keep(store, content)
    found = await asyncio.gather(*(read(store, blob) for _ in range(10)))
    assert found == [content] * 10
