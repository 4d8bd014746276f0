"""Bytes rot on the disk: of ten thousand reads none is wrong, and the scrubber finds them all."""

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.chassis.blobs import CHUNK, Blob, BlobDamagedError, FileBlobs
from libs.chassis.postgres import Database, Pool
from services.registry.service import Integrity, Tx
from services.registry.wiring import bind

BLOBS = 200
READS = 10_000


async def stored(
    store: FileBlobs, database: Database[Tx], chance: random.Random
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


def rot(path: Path, chance: random.Random) -> None:
    """A flipped bit, a lost tail, a sector of zeros, or a file that is gone."""
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            content[at] ^= 1 << chance.randrange(8)
        case 1:
            del content[at:]
        case 2:
            before = bytes(content)
            content[at : at + 512] = bytes(len(content[at : at + 512]))
            if content == before:
                content[at] ^= 255
        case _:
            path.unlink()
            return
    path.write_bytes(content)


async def test_no_wrong_byte_is_read_and_every_one_is_found(pool: Pool, tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    store, database = FileBlobs(tmp_path), Database(pool, bind)
    integrity = Integrity(database, store)
    blobs = await stored(store, database, chance)
    rotten = chance.sample(blobs, BLOBS // 4)
    for blob, _ in rotten:
        rot(tmp_path / blob.location, chance)

    wrong = refused = 0
    for _ in range(READS):
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
        if found == len(rotten):
            break
    damaged = {
        row["digest"] for row in await pool.fetch("SELECT digest FROM blob WHERE state = 'damaged'")
    }
    assert damaged == {blob.digest for blob, _ in rotten}
