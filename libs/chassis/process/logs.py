"""Log files of children: rotated while they are written, read from the end, followed."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

_BLOCK = 64 * 1024
_POLL_SECONDS = 0.2


def rotate(log: Path, *, max_bytes: int, keep: int) -> bool:
    """Move what ``log`` holds to ``log.1`` (older ones up to ``log.<keep>``) once it is too long.

    The writer keeps its descriptor (it appends), so the file is copied and then emptied; what is
    written between the last copy and the emptying is lost, which is a few microseconds' worth.
    """
    if not log.exists() or log.stat().st_size <= max_bytes:
        return False
    for number in range(keep - 1, 0, -1):
        older = _numbered(log, number)
        if older.exists():
            older.replace(_numbered(log, number + 1))
    with log.open("r+b") as current, _numbered(log, 1).open("wb") as copy:
        shutil.copyfileobj(current, copy, _BLOCK)
        while chunk := current.read(_BLOCK):
            copy.write(chunk)
        os.ftruncate(current.fileno(), 0)
    return True


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def tail(path: Path, lines: int) -> str:
    """The last ``lines`` lines; nothing when there is no such file."""
    try:
        with path.open("rb") as file:
            return b"".join(_last_lines(file, lines)).decode(errors="replace")
    except FileNotFoundError:
        return ""


def _last_lines(file: BinaryIO, lines: int) -> list[bytes]:
    """Reads backwards, so that the cost is that of what is asked for."""
    position = file.seek(0, os.SEEK_END)
    seen = b""
    while position and seen.count(b"\n") <= lines:
        start = max(0, position - _BLOCK)
        file.seek(start)
        seen = file.read(position - start) + seen
        position = start
    return seen.splitlines(keepends=True)[-lines:] if lines > 0 else []


async def follow(path: Path, *, lines: int = 0) -> AsyncGenerator[str, None]:
    """The last ``lines`` lines, then each whole line as it is written, until cancelled.

    A file that is not there yet, or is emptied by a rotation, is read from its beginning.
    """
    position, rest = _size(path), b""
    for line in tail(path, lines).splitlines():
        yield line
    while True:
        chunk, position = _read_from(path, position)
        if not chunk:
            await asyncio.sleep(_POLL_SECONDS)
            continue
        *whole, rest = (rest + chunk).split(b"\n")
        for line_bytes in whole:
            yield line_bytes.decode(errors="replace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_from(path: Path, position: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < position:
                position = 0
            file.seek(position)
            chunk = file.read(_BLOCK)
            return chunk, position + len(chunk)
    except FileNotFoundError:
        return b"", 0
