"""Where the code of packages runs that are built: shown its own files, and nothing of others."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypedDict
from uuid import UUID

from libs.chassis.isolation import Isolation
from services.builder.domain import NOTHING, Given
from services.builder.environments.children import Children
from services.builder.environments.folders import remove
from services.builder.errors import BuildFailedError

_TEMPORARY: Final = "tmp"


@dataclass(frozen=True, slots=True)
class Room:
    """What a build's packages may write: a home that is new, and what its organisation cached.

    A wheel that came of somebody's code is in no cache that another organisation reads.
    """

    home: Path
    cache: Path


class Shown(TypedDict):
    """Besides the system."""

    room: Room
    readable: Sequence[Path]
    writable: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Confinement:
    """``caches`` is a folder with one of uv's caches for each organisation."""

    children: Children
    caches: Path
    isolation: Isolation

    def room(self, org_id: UUID, work: Path) -> Room:
        room = Room(work / "home", self.caches / str(org_id))
        remove(room.home)
        (room.home / _TEMPORARY).mkdir(parents=True)
        room.cache.mkdir(parents=True, exist_ok=True)
        if self.isolation.ids is not None:
            os.chown(room.cache, *self.isolation.ids)
        return room

    async def run(
        self,
        argv: tuple[str, ...],
        log: Path,
        *,
        room: Room,
        readable: Sequence[Path],
        writable: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        given: Given = NOTHING,
    ) -> tuple[int, str, str]:
        """As ``Children.run``, in the room."""
        own = {"UV_CACHE_DIR": str(room.cache), "TMPDIR": str(room.home / _TEMPORARY)}
        if self.isolation.isolates:
            own["HOME"] = str(room.home)
        command = self.children.command(argv, room.home, env, given=given)
        command = replace(command, env={**command.env, **own})
        async with self._lent(room.home, *writable):
            try:
                with self.isolation.around(
                    command, readable, writable=(room.cache, *writable)
                ) as inside:
                    return await self.children.finish(inside, log, shown=argv, given=given)
            except PermissionError as error:
                raise BuildFailedError("isolation-missing", str(error)) from error

    @asynccontextmanager
    async def _lent(self, *folders: Path) -> AsyncIterator[None]:
        """Theirs as long as the context is entered, and nobody's but ours afterwards."""
        try:
            for each in folders:
                await asyncio.to_thread(self.isolation.hand_over, each)
            yield
        finally:
            for each in folders:
                await asyncio.to_thread(self.isolation.take_back, each)
