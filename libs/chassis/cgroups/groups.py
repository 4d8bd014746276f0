"""Groups of processes that the kernel keeps below a limit, each in one or several hierarchies."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from libs.chassis.cgroups.places import (
    CONTROLLERS,
    CPU,
    MEMORY,
    PROCESSES,
    LimitUnavailableError,
    Machine,
)

_PERIOD: Final = 100_000
_LEAST_QUOTA: Final = 1_000
"""Microseconds: the kernel knows no smaller one."""
_UNLIMITED: Final = 1 << 62
_NEARLY: Final = 0.9
"""Of its limit: version 1 counts what was killed, and not for whose want of memory."""
_TRIES: Final = 100
_PAUSE: Final = 0.02
_TRIAL: Final = timedelta(seconds=10)
_MEMBERS: Final = "cgroup.procs"
_SHELL: Final = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Limits:
    """``None`` is no limit."""

    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None


_TRIED: Final[Mapping[str, Limits]] = {
    MEMORY: Limits(memory_bytes=64 << 20),
    CPU: Limits(cpus=0.5),
}


@dataclass(frozen=True, slots=True)
class Group:
    """One folder in version 2, one for each controller in version 1."""

    folders: tuple[Path, ...]

    @property
    def entrances(self) -> tuple[Path, ...]:
        """The files that a process writes itself into to be a member."""
        return tuple(each / _MEMBERS for each in self.folders)

    @property
    def memory_bytes(self) -> int | None:
        """What it was limited to."""
        said = self._said("memory.max") or self._said("memory.limit_in_bytes")
        value = int(said) if said.isdecimal() else _UNLIMITED
        return value if value < _UNLIMITED else None

    @property
    def starved(self) -> bool:
        """Whether a member was killed since the group has no more memory; the machine may have."""
        events = self._counted("memory.events")
        if events:
            return events.get("oom", 0) > 0 and events.get("oom_kill", 0) > 0
        killed = self._counted("memory.oom_control").get("oom_kill")
        if killed is None:
            return self._said("memory.failcnt") not in {"", "0"}
        most = int(self._said("memory.max_usage_in_bytes") or 0)
        return killed > 0 and most >= _NEARLY * (self.memory_bytes or _UNLIMITED)

    def kill(self) -> None:
        """Whatever is a member. One that another namespace shows as 0 is not ours."""
        for entrance in self.entrances:
            with contextlib.suppress(OSError):
                for pid in filter(None, map(int, entrance.read_text().split())):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def remove(self) -> bool:
        """Whether it is gone: one with a member stays."""
        for each in self.folders:
            with contextlib.suppress(OSError):
                each.rmdir()
        return not any(each.exists() for each in self.folders)

    async def removed(self, *, kill: bool = False) -> bool:
        """What was killed takes a moment to be gone."""
        for _ in range(_TRIES):
            if kill:
                self.kill()
            if self.remove():
                return True
            await asyncio.sleep(_PAUSE)
        return False

    def _counted(self, name: str) -> dict[str, int]:
        """Lines of a name and a number."""
        lines = (line.partition(" ") for line in self._said(name).splitlines())
        return {key: int(value) for key, _, value in lines if value.isdecimal()}

    def _said(self, name: str) -> str:
        for each in self.folders:
            with contextlib.suppress(OSError):
                return (each / name).read_text().strip()
        return ""


class Groups:
    """Those of one owner: ``prefix`` tells them from all others of this machine."""

    def __init__(self, prefix: str, *, machine: Machine = Machine()) -> None:  # noqa: B008 - frozen
        self._prefix = prefix
        self._machine = machine

    def make(self, name: str, limits: Limits) -> Group:
        """Empty, with nothing counted yet. Raises ``LimitUnavailableError``."""
        made: list[Path] = []
        try:
            for parent, values in self._asked(limits).items():
                group = parent / f"{self._prefix}{name}"
                with contextlib.suppress(FileNotFoundError):
                    group.rmdir()
                group.mkdir()
                made.append(group)
                _write(group, values)
        except OSError as error:
            Group(tuple(made)).remove()
            message = f"a limit needs a cgroup that this service may make: {error}"
            raise LimitUnavailableError(message) from error
        return Group(tuple(made))

    def found(self) -> dict[str, Group]:
        """Every one there is, by its name, whoever made it."""
        folders: dict[str, list[Path]] = {}
        for parent in self._parents():
            for each in sorted(parent.glob(f"{self._prefix}*")):
                folders.setdefault(each.name.removeprefix(self._prefix), []).append(each)
        return {name: Group(tuple(each)) for name, each in folders.items()}

    def get(self, name: str) -> Group | None:
        folders = (parent / f"{self._prefix}{name}" for parent in self._parents())
        there = tuple(each for each in folders if each.is_dir())
        return Group(there) if there else None

    def refusals(self) -> dict[str, str]:
        """By controller, why it is not enforced here; found out by running something in a group.

        Nothing where it is.
        """
        return {name: why for name, limits in _TRIED.items() if (why := self._tried(limits))}

    def _tried(self, limits: Limits) -> str:
        try:
            group = self.make(f"trial-{uuid4().hex[:12]}", limits)
        except LimitUnavailableError as error:
            return str(error)
        try:
            ended = subprocess.run(
                joining(group.entrances, (_SHELL, "-c", ":")),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TRIAL.total_seconds(),
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
        finally:
            group.remove()
        words = ended.stderr.strip() or f"a trial ended with status {ended.returncode}"
        return words if ended.returncode else ""

    def _parents(self) -> set[Path]:
        parents = set()
        for controller in CONTROLLERS:
            with contextlib.suppress(LimitUnavailableError):
                parents.add(self._machine.parent_of(controller))
        return parents

    def _asked(self, limits: Limits) -> dict[Path, dict[str, str]]:
        """Values by file, by the group above: one in version 2, several in version 1."""
        quota = None if limits.cpus is None else max(int(limits.cpus * _PERIOD), _LEAST_QUOTA)
        wanted = (
            (MEMORY, "memory.limit_in_bytes", "memory.max", limits.memory_bytes),
            (CPU, "cpu.cfs_quota_us", "cpu.max", quota),
            (PROCESSES, "pids.max", "pids.max", limits.processes),
        )
        asked: dict[Path, dict[str, str]] = {}
        for controller, first, second, value in wanted:
            if value is not None:
                parent = self._machine.parent_of(controller)
                name = second if (parent / "cgroup.subtree_control").exists() else first
                asked.setdefault(parent, {})[name] = str(value)
        return asked


def joining(entrances: tuple[Path, ...], argv: tuple[str, ...]) -> tuple[str, ...]:
    """``argv`` as a member from its first instruction on."""
    if not entrances:
        return argv
    script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'
    return (_SHELL, "-c", script, "sh", *map(os.fspath, entrances), "--", *argv)


def _write(group: Path, values: Mapping[str, str]) -> None:
    """The kernel made the files, or does not know them. Nothing is swapped out to have more."""
    for name, value in values.items():
        _put(group / name, value)
    for name, value in _without_swap(values):
        with contextlib.suppress(FileNotFoundError):
            _put(group / name, value)


def _without_swap(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if "memory.max" in values:
        yield "memory.swap.max", "0"
    if "memory.limit_in_bytes" in values:
        yield "memory.memsw.limit_in_bytes", values["memory.limit_in_bytes"]


def _put(file: Path, value: str) -> None:
    with file.open("r+") as out:
        out.write(value)
