"""Starting children in sessions of their own, adopting them after a restart, ending them whole."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from typing_extensions import override

from libs.chassis.cgroups import Group, joining
from libs.chassis.process.identity import MARKER, TOKEN, Identity, end, identify, members
from libs.chassis.process.records import Record, record_path, write_record

_POLL_SECONDS = 0.2
_UNLIMITED = Group(())


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. ``env`` is the whole environment: nothing of the parent's is added.

    ``owns_descendants`` is False for a child whose own children are supervised by themselves.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    pass_fds: tuple[int, ...] = ()
    owns_descendants: bool = True
    group: Group = _UNLIMITED
    """What it is a member of from its first instruction on; no part of its record."""


class _Child(subprocess.Popen[bytes]):
    """A child that may outlive this object, and this process: neither warned of nor waited for."""

    @override
    def __del__(self) -> None:
        return


class Process:
    """One supervised process: a child of this one, or adopted from an earlier one."""

    def __init__(self, record: Record, child: _Child | None) -> None:
        self.record = record
        self._child = child

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def pid(self) -> int:
        return self.record.pid

    @property
    def identity(self) -> Identity:
        return self.record.identity

    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return identify(self.pid) == self.identity

    async def wait(self) -> int | None:
        """Until it is gone; its exit status (negative: signal) if it is a child of this process."""
        while self.alive():
            await _exit_or_pause(self.identity)
        return self._child.returncode if self._child is not None else None

    async def stop(self, grace: timedelta, *, first: signal.Signals = signal.SIGTERM) -> int | None:
        """Signal its group, wait ``grace``, kill whatever of it is left; forget its record."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, first)
        await end(lambda: members(self.identity, self.record.token), grace=grace)
        status = await self.wait()
        self.forget()
        return status

    def forget(self) -> None:
        """Remove the record; the process itself is not touched."""
        self.record.path.unlink(missing_ok=True)


def spawn(record_dir: Path, name: str, command: Command, *, log: Path, marker: str) -> Process:
    """Start ``command`` in a session of its own with its output appended to ``log``.

    Its environment carries ``marker`` from the first instruction on, so that a parent killed
    before the record is written leaves nothing that ``leftovers`` would not find.
    """
    token = uuid4().hex if command.owns_descendants else ""
    env = {**command.env, MARKER: marker} | ({TOKEN: token} if token else {})
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = _Child(
            joining(command.group.entrances, command.argv),
            env=env,
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=command.pass_fds,
        )
    return _recorded(record_dir, name, child, marker=marker, token=token, argv=command.argv)


def register(
    record_dir: Path, name: str, pid: int, *, marker: str, argv: tuple[str, ...]
) -> Process | None:
    """Record a process that another one started for us; None when it has ended already."""
    identity = identify(pid)
    if identity is None:
        return None
    path = record_path(record_dir, name)
    record = Record(name, pid, identity.started, identity.boot_id, marker, "", argv, path)
    write_record(record)
    return Process(record, None)


def adopt(record: Record) -> Process | None:
    """The process that ``record`` names, if it is still the same one."""
    return Process(record, None) if identify(record.pid) == record.identity else None


def _recorded(
    record_dir: Path, name: str, child: _Child, *, marker: str, token: str, argv: tuple[str, ...]
) -> Process:
    identity = identify(child.pid, zombie=True)
    if identity is None:  # a child that nobody has waited for is at least a zombie
        message = f"process {child.pid} of {name} was reaped by someone else"
        raise ProcessLookupError(message)
    path = record_path(record_dir, name)
    record = Record(name, child.pid, identity.started, identity.boot_id, marker, token, argv, path)
    write_record(record)
    return Process(record, child)


async def _exit_or_pause(identity: Identity) -> None:
    """Return when the process has ended; where the system cannot tell, after a short while."""
    if sys.platform != "linux":
        await asyncio.sleep(_POLL_SECONDS)
        return
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        await asyncio.sleep(_POLL_SECONDS)
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        if identify(identity.pid) == identity:
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
