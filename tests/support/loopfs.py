"""Small file systems on loop devices: for full disks, and for what a power cut leaves."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def require_loop_devices() -> None:
    """Skip where the machine lets nobody mount: the reason is in the report."""
    if os.geteuid() != 0:
        pytest.skip("mounting a loop file system needs root")
    for tool in ("mkfs.ext4", "mount", "umount", "fsck.ext4"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    if not Path("/dev/loop-control").exists():
        pytest.skip("this machine has no loop devices")


def make(image: Path, *, megabytes: int) -> Path:
    """An empty ext4 file system in a sparse file."""
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    _run("mkfs.ext4", "-q", "-m", "0", str(image))
    return image


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def what_reached_the_disk(image: Path, copy: Path) -> Path:
    """A copy of the backing file: what the file system had written, not what it still held.

    The journal is replayed as at the next boot.
    """
    _run("cp", "--sparse=always", str(image), str(copy))
    done = subprocess.run(
        ["fsck.ext4", "-p", str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return copy


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)  # our argv
