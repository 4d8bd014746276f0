"""Which process is which: pid, start time and boot together, and marks that children inherit."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

import psutil

MARKER: Final = "LANE_MARKER"
"""Environment variable that says whose a process is: ``<home id>[:<purpose>]``."""

TOKEN: Final = "LANE_PROCESS"  # noqa: S105 - the name of a variable, not a secret
"""Environment variable by which everything started from one child is known as its own."""

_GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process and never another: a pid alone is reused, and so is a start time after a boot."""

    pid: int
    started: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A running process that carries a marker."""

    identity: Identity
    marker: str
    token: str
    argv: tuple[str, ...]


def identify(pid: int, *, zombie: bool = False) -> Identity | None:
    """The process that has ``pid`` now; None when there is none (or only its ``zombie``)."""
    seen = _linux_start(pid) if sys.platform == "linux" else _portable_start(pid)
    if seen is None:
        return None
    started, dead = seen
    return None if dead and not zombie else Identity(pid, started, boot_id())


def _linux_start(pid: int) -> tuple[int, bool] | None:
    """Ticks since boot, which no change of the wall clock moves."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return int(fields[19]), fields[0] in "ZX"


def _portable_start(pid: int) -> tuple[int, bool] | None:
    try:
        process = psutil.Process(pid)
        return int(process.create_time() * 1000), process.status() == psutil.STATUS_ZOMBIE
    except _GONE:
        return None


@cache
def boot_id() -> str:
    """Changes with every boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def leftovers(marker: str) -> list[Leftover]:
    """Running processes marked ``marker`` or ``marker:<purpose>``, this one apart."""
    found = []
    for process, environment in _environments():
        mark = environment.get(MARKER, "")
        if mark != marker and not mark.startswith(f"{marker}:"):
            continue
        identity = identify(process.pid)
        if identity is not None:
            with contextlib.suppress(*_GONE):
                argv = tuple(process.cmdline())
                found.append(Leftover(identity, mark, environment.get(TOKEN, ""), argv))
    return found


async def stop_leftovers(found: Iterable[Leftover], *, grace: timedelta) -> None:
    """Ask each to end, wait for all of them together, then kill what is left."""
    identities = {each.identity for each in found}

    def remaining() -> list[psutil.Process]:
        return [handle for each in identities if (handle := _handle(each)) is not None]

    _signal(remaining(), signal.SIGTERM)
    await end(remaining, grace=grace)


async def end(remaining: Callable[[], list[psutil.Process]], *, grace: timedelta) -> None:
    """Wait ``grace`` for nothing to remain, then kill until nothing does (10 s at most).

    What is killed may fork meanwhile, so ``remaining`` looks anew each time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace.total_seconds()
    last = deadline + 10.0
    while (left := remaining()) and loop.time() < last:
        if loop.time() >= deadline:
            _signal(left, signal.SIGKILL)
        await asyncio.sleep(0.02)


def members(leader: Identity, token: str) -> list[psutil.Process]:
    """Everything alive that belongs to a child: its session, its descendants, its ``token``.

    A leader that is gone leaves only the token to go by: its number may be another's session.
    """
    present = identify(leader.pid, zombie=True) == leader
    found = {}
    if present and token:
        with contextlib.suppress(*_GONE):
            descendants = psutil.Process(leader.pid).children(recursive=True)
            found = {each.pid: each for each in descendants}
    for process in psutil.process_iter():
        if (present and _session(process.pid) == leader.pid) or (
            token and _environment(process).get(TOKEN) == token
        ):
            found[process.pid] = process
    return [each for each in found.values() if each.pid != os.getpid() and identify(each.pid)]


def _handle(identity: Identity) -> psutil.Process | None:
    if identify(identity.pid) != identity:
        return None
    try:
        return psutil.Process(identity.pid)
    except _GONE:
        return None


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(*_GONE):
            process.send_signal(number)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except _GONE:
        return {}


def _environments() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            yield process, _environment(process)
