"""Where the code of packages runs that are built: shown its own files, and nothing of others."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.chassis.isolation import Isolation
from libs.chassis.process import Command, allowed, tool
from services.builder.environments.folders import remove
from services.builder.errors import BuildFailedError

_PREFIXES: Final = ("SSL_", "UV_", "PIP_")
_TEMPORARY: Final = "tmp"


@dataclass(frozen=True, slots=True)
class Room:
    """What a build's packages may write: a home that is new, and what its organisation cached.

    A wheel that came of somebody's code is in no cache that another organisation reads.
    """

    home: Path
    cache: Path


@dataclass(frozen=True, slots=True)
class Confinement:
    """``caches`` is a folder with one of uv's caches for each organisation."""

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
    ) -> tuple[int, str, str]:
        """As ``run``, in the room."""
        own = {"UV_CACHE_DIR": str(room.cache), "TMPDIR": str(room.home / _TEMPORARY)}
        env = {**_environment(), **own}
        if self.isolation.isolates:
            env["HOME"] = str(room.home)
        command = Command(argv, env, room.home)
        async with self._lent(room.home, *writable):
            try:
                with self.isolation.around(
                    command, readable, writable=(room.cache, *writable)
                ) as inside:
                    return await _run(inside, log, shown=argv)
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


async def run(argv: tuple[str, ...], log: Path, *, cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, output and complaints, which go to the log as well. Cancelled, it kills."""
    return await _run(Command(argv, _environment(), cwd or log.parent), log, shown=argv)


def _environment() -> Mapping[str, str]:
    return {**allowed(os.environ, prefixes=_PREFIXES), "UV_PYTHON_DOWNLOADS": "never"}


async def _run(command: Command, log: Path, *, shown: tuple[str, ...]) -> tuple[int, str, str]:
    with log.open("a") as out:
        out.write(f"$ {' '.join(shown)}\n")
    async with tool(
        command.argv, env=command.env, cwd=command.cwd, pass_fds=command.pass_fds
    ) as process:
        told, complained = await process.communicate()
    output, error = told.decode(errors="replace"), complained.decode(errors="replace")
    with log.open("a") as out:
        out.write(output + error)
    return process.returncode or 0, output, error
