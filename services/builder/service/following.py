"""A build as it goes: its log line by line, its steps and its end, for whoever follows it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from libs.chassis.lifecycle import Wake
from services.builder.domain import ENDED, BuildView
from services.builder.environments import Folders
from services.builder.service.builds import Builds
from services.builder.service.progress import Progress

_CHUNK: Final = 2**16
_FIRST_OF_SEVERAL: Final = 0xC0
"""Such bytes and greater ones begin a character of UTF-8 that has several."""
_LOOK: Final = timedelta(milliseconds=200)
"""What tools write into the log themselves announces itself to nobody."""
_ASK: Final = timedelta(seconds=1)
"""How late the end of a build is seen whose worker is another process."""
_GATHER: Final = timedelta(milliseconds=20)
"""Lines that come one upon the other are sent together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, which may be none, up to byte ``position``; the build was at ``view`` then."""

    view: BuildView
    text: bytes
    position: int

    @property
    def ended(self) -> bool:
        return self.view.status in ENDED


class Live:
    """What is under way in this process, and who wants to know when it moves on."""

    def __init__(self) -> None:
        self._listeners: set[Wake] = set()
        self._under_way: WeakValueDictionary[UUID, Progress] = WeakValueDictionary()

    def begin(self, build_id: UUID, log: Path) -> Progress:
        progress = self._under_way[build_id] = Progress(log, said=self.announce)
        return progress

    def shown(self, view: BuildView) -> BuildView:
        """With the steps of the moment, which are written down only when it ends."""
        progress = self._under_way.get(view.id)
        if progress is None or view.status in ENDED:
            return view
        return replace(view, steps=tuple(progress.steps))

    def announce(self) -> None:
        for each in self._listeners:
            each.set()

    @contextmanager
    def listen(self) -> Iterator[Wake]:
        wake = Wake()
        self._listeners.add(wake)
        try:
            yield wake
        finally:
            self._listeners.discard(wake)


class Following:
    def __init__(self, builds: Builds, live: Live, *, folders: Folders) -> None:
        self._builds = builds
        self._live = live
        self._folders = folders

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView:
        return self._live.shown(await self._builds.one(org_id, build_id))

    async def pieces(
        self, org_id: UUID, build_id: UUID, *, after: int = 0, last: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        """All of the log behind byte ``after``, or its ``last`` lines, until the build ends.

        A piece comes at least every second, although it may say nothing new.
        """
        log = self._folders.log(build_id)
        position = after if last is None else await asyncio.to_thread(_from_last, log, last)
        with self._live.listen() as wake:
            while True:
                view = await self.one(org_id, build_id)  # before its log: that is whole then
                ended = view.status in ENDED
                while text := await asyncio.to_thread(_lines, log, position, rest=ended):
                    position += len(text)
                    yield Piece(view, text, position)
                yield Piece(view, b"", position)
                if ended:
                    return
                await _moved(wake, log, position)


async def _moved(wake: Wake, log: Path, position: int) -> None:
    """Until something was said, or it is time to ask anyway."""
    latest = time.monotonic() + _ASK.total_seconds()
    while time.monotonic() < latest:
        if await wake.wait(_LOOK) or _size(log) > position:
            await asyncio.sleep(_GATHER.total_seconds())
            return


def _lines(log: Path, position: int, *, rest: bool) -> bytes:
    """Whole lines behind ``position``; of one that has no end yet nothing, but the ``rest``."""
    try:
        with log.open("rb") as opened:
            opened.seek(position)
            chunk = opened.read(_CHUNK)
    except FileNotFoundError:
        return b""
    whole = chunk[: chunk.rfind(b"\n") + 1]
    if whole or not chunk:
        return whole
    if len(chunk) == _CHUNK:  # of a line that is longer than that, whole characters
        begun = next((each for each in range(1, 4) if chunk[-each] >= _FIRST_OF_SEVERAL), 0)
        return chunk[: _CHUNK - begun]
    return chunk if rest else b""


def _from_last(log: Path, lines: int) -> int:
    """Where the last ``lines`` lines begin, of as many as one look at the end finds."""
    size = _size(log)
    start = max(0, size - _CHUNK)
    found = _lines(log, start, rest=True).splitlines(keepends=True)
    whole = found[1:] if start else found  # what the look begins with is part of a line
    return size - sum(map(len, whole[-lines:])) if lines else size


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0
