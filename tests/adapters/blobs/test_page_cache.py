"""What nobody will read soon takes no memory from what somebody reads."""

import os
from pathlib import Path

import pytest

from libs.chassis.blobs import CHUNK, Blob, FileBlobs

CONTENT = os.urandom(2 * CHUNK + 4096 + 100)


async def stored(store: FileBlobs, *, hot: bool, piece: int = 2**16) -> Blob:
    async with store.receive(size=len(CONTENT), hot=hot) as receiving:
        for at in range(0, len(CONTENT), piece):
            await receiving.write(CONTENT[at : at + piece])
        return await receiving.commit()


def is_in_memory(path: Path) -> bool:
    """Whether its beginning is there without the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(4096)], 0, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def goes_direct(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "probe", os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("hot", [False, True])
async def test_only_what_is_read_soon_is_kept_in_memory(tmp_path: Path, *, hot: bool) -> None:
    if not goes_direct(tmp_path):
        pytest.skip("the file system has nothing but a page cache")
    blob = await stored(FileBlobs(tmp_path), hot=hot)

    assert is_in_memory(tmp_path / blob.location) is hot
    assert (tmp_path / blob.location).read_bytes() == CONTENT


@pytest.mark.parametrize("piece", [1000, CHUNK - 1, CHUNK, len(CONTENT)])
async def test_however_it_comes_it_is_written_whole(tmp_path: Path, piece: int) -> None:
    blob = await stored(FileBlobs(tmp_path), hot=False, piece=piece)

    assert (tmp_path / blob.location).read_bytes() == CONTENT
