"""Writing the file, which appears when all of it is there. Begun again, it goes on.

Until then it is ``FILE.part``: the same bytes from the beginning, as far as it got. Where each
archive lies follows from the list alone, so what is there is compared with what is to be there,
and what is half, or wrong, is cut off.
"""

import fcntl
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from os.path import samestat
from pathlib import Path
from typing import IO, Final

from cli.carry.format import Hashed, Item, beginning_of, header_of, write_blob
from cli.carry.progress import Metered, Shown
from cli.client import Readable
from cli.errors import CommandError

_PIECE: Final = 2**20
_ROOM: Final = "make room and begin again: it goes on where it was"
Fetch = Callable[[Item], AbstractContextManager[Readable]]


def require_free(output: Path) -> None:
    if output.exists():
        raise CommandError(f"{output} exists", "name another file, or move it away")


def write(output: Path, items: list[Item], fetch: Fetch, *, shown: Shown) -> None:
    """Each archive once, in the order of ``items``, as the index in front says."""
    shown.expect(len(_once(items)))
    partial = output.with_name(f"{output.name}.part")
    try:
        with _alone(partial) as file:
            whole = _kept(file, items, shown)
            with _said_to_stay(partial, shown):
                _append(file, items, fetch, whole=whole, shown=shown)
            require_free(output)
            partial.rename(output)
    except OSError as error:
        raise CommandError(f"{output} could not be written: {error}", _ROOM) from error


def _once(items: list[Item]) -> list[Item]:
    carried = [each for each in items if not each.lives_elsewhere]
    return list({each.digest: each for each in carried}.values())


def _append(file: IO[bytes], items: list[Item], fetch: Fetch, *, whole: int, shown: Shown) -> None:
    once = _once(items)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, each in enumerate(once[whole:], start=whole + 1):
            shown.line(f"{number} of {len(once)}: {each.tag}, {each.size_bytes} bytes")
            shown.begin(each.tag, each.size_bytes)
            with fetch(each) as content:
                write_blob(tar, each, Metered(content, shown.advance))
            shown.step()
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _said_to_stay(partial: Path, shown: Shown) -> Iterator[None]:
    try:
        yield
    except (CommandError, OSError, KeyboardInterrupt):
        shown.say(f"{partial} stays: the same command goes on there")
        raise


@contextmanager
def _alone(partial: Path) -> Iterator[IO[bytes]]:
    """Of two that write the same file, the second is told so."""
    with partial.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_it = samestat(partial.stat(), os.fstat(file.fileno()))
        except (BlockingIOError, FileNotFoundError):
            is_it = False
        if not is_it:
            raise CommandError(f"another export writes {partial}", "wait until it is done")
        yield file


def _kept(file: IO[bytes], items: list[Item], shown: Shown) -> int:
    """How many archives are whole. ``file`` ends with the last of them."""
    once = _once(items)
    beginning = beginning_of(items)
    file.seek(0)
    found = file.read(len(beginning))
    if found != beginning:
        _require_ours(found, beginning, file.name)
        if not beginning.startswith(found):
            shown.say(f"{file.name} is of other versions, or they have changed: it is begun anew")
        file.seek(0)
        file.truncate()
        file.write(beginning)
        return 0
    whole = 0
    end = file.tell()
    for each in once:
        shown.begin(f"is it there? {each.tag}", each.size_bytes)
        if not _is_there(file, each, shown):
            break
        shown.step()
        whole += 1
        end = file.tell()
    file.seek(end)
    file.truncate()
    shown.say(f"{file.name} has {whole} of {len(once)} archives: it goes on there")
    return whole


def _require_ours(found: bytes, beginning: bytes, name: str) -> None:
    """Nobody else's file is written over because of its name."""
    title = beginning[: tarfile.LENGTH_NAME]
    if found[: len(title)] != title[: len(found)]:
        raise CommandError(f"{name} is no export that was begun", "move it away")


def _is_there(file: IO[bytes], item: Item, shown: Shown) -> bool:
    header = header_of(item)
    if file.read(len(header)) != header:
        return False
    hashed = Hashed(Metered(file, shown.advance))
    left = item.size_bytes
    while left and (piece := hashed.read(min(left, _PIECE))):
        left -= len(piece)
    padding = bytes(-item.size_bytes % tarfile.BLOCKSIZE)
    return hashed.has(item.digest, item.size_bytes) and file.read(len(padding)) == padding
