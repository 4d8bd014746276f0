"""What a build may take, set for all its processes together where the kernel lets this service."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

_ROOT: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "yokocho-build-"
_PERIOD: Final = 100_000
_TRIES: Final = 100


class LimitUnavailableError(Exception):
    """A limit was asked for that nothing here would enforce."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``None`` is no limit. Processes are those of the commands and some forty of the builder."""

    seconds: float
    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None


@contextlib.asynccontextmanager
async def limited(limits: Limits, *, root: Path = _ROOT) -> AsyncIterator[tuple[Path, ...]]:
    """The files a process writes itself into to be limited. Refuses what it cannot enforce."""
    groups: list[Path] = []
    try:
        for parent, values in _asked(limits, root).items():
            groups.append(_made(parent, values))
        yield tuple(each / "cgroup.procs" for each in groups)
    finally:
        for each in groups:
            await _removed(each)


def _asked(limits: Limits, root: Path) -> dict[Path, dict[str, str]]:
    """Values by file, by the hierarchy they belong to: one in version 2, several in version 1."""
    quota = None if limits.cpus is None else int(limits.cpus * _PERIOD)
    wanted = (
        ("memory", "memory.limit_in_bytes", "memory.max", limits.memory_bytes),
        ("cpu", "cpu.cfs_quota_us", "cpu.max", quota),
        ("pids", "pids.max", "pids.max", limits.processes),
    )
    asked: dict[Path, dict[str, str]] = {}
    for controller, first, second, value in wanted:
        if value is not None:
            old = (root / controller).is_dir()
            values = asked.setdefault(root / controller if old else root, {})
            values[first if old else second] = str(value)
    return asked


def _made(parent: Path, values: dict[str, str]) -> Path:
    group = parent / f"{_PREFIX}{os.getpid()}-{uuid4().hex[:12]}"
    try:
        group.mkdir()
        for name, value in values.items():
            with (group / name).open("r+") as file:  # the kernel made it, or does not know it
                file.write(value)
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        message = f"{', '.join(values)} needs a cgroup that this service may make: {error}"
        raise LimitUnavailableError(message) from error
    return group


def remove_leftovers(root: Path = _ROOT) -> None:
    """Groups of services that were killed. One with a process in it stays."""
    for group in (*root.glob(f"{_PREFIX}*"), *root.glob(f"*/{_PREFIX}*")):
        if not Path(f"/proc/{group.name.removeprefix(_PREFIX).split('-')[0]}").exists():
            with contextlib.suppress(OSError):
                group.rmdir()


async def _removed(group: Path) -> None:
    """What was killed takes a moment to be gone."""
    for _ in range(_TRIES):
        try:
            group.rmdir()
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return


def joining(groups: tuple[Path, ...], argv: tuple[str, ...]) -> tuple[str, ...]:
    """``argv`` as a member of ``groups`` from its first instruction on."""
    if not groups:
        return argv
    script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'
    return ("sh", "-c", script, "sh", *map(os.fspath, groups), "--", *argv)
