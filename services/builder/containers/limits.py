"""What a build may take, set for all its processes together where the kernel lets this service."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from libs.chassis import cgroups

_GROUPS: Final = cgroups.Groups("yokocho-build-")
_NO_LIMITS: Final = cgroups.Limits()


@dataclass(frozen=True, slots=True)
class Limits:
    """``None`` is no limit. Processes are those of the commands and some forty of the builder."""

    seconds: float
    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None


@asynccontextmanager
async def limited(limits: Limits) -> AsyncIterator[tuple[Path, ...]]:
    """The files a process writes itself into to be limited. Refuses what it cannot enforce."""
    wanted = cgroups.Limits(limits.memory_bytes, limits.cpus, limits.processes)
    if wanted == _NO_LIMITS:
        yield ()
        return
    group = _GROUPS.make(f"{os.getpid()}-{uuid4().hex[:12]}", wanted)
    try:
        yield group.entrances
    finally:
        await group.removed()


def remove_leftovers() -> None:
    """Groups of services that were killed. One with a process in it stays."""
    for name, group in _GROUPS.found().items():
        if not Path(f"/proc/{name.split('-')[0]}").exists():
            group.remove()
