"""A user namespace in which root is nobody of this machine.

As root the platform writes its map itself, for ids that no account has. As another user it asks
newuidmap for the ids that the machine's administrator gave that user in /etc/subuid.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIRST_ID: Final = 1_879_048_192
"""Above those of accounts and of what systemd gives to its containers."""

_IDS: Final = 65_536
_OWN: Final = Path("/proc/self/ns/user")
_WAIT_SECONDS: Final = 5.0
_UNSHARED: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""With its first process everything in it ends, whatever session it has made for itself."""


class NamespaceUnavailableError(Exception):
    """Commands of a bento would run as a real user of this machine."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """``owner`` is who its root is outside; ``fd`` keeps it, for each child anew."""

    fd: int
    owner: int

    def inside(self, *argv: str, network: bool = True) -> tuple[str, ...]:
        """``argv`` as root there, killed when the process that starts it ends."""
        enter = ("nsenter", f"--user=/proc/self/fd/{self.fd}", "--setuid", "0", "--setgid", "0")
        cut = () if network else ("--net",)
        return (*enter, "setpriv", "--pdeathsig", "KILL", *_UNSHARED, *cut, "--", *argv)

    def close(self) -> None:
        os.close(self.fd)


async def open_namespace(first_id: int = FIRST_ID) -> Namespace:
    async with _holder() as pid:
        privileged = os.geteuid() == 0
        await (_map_as_root(pid, first_id) if privileged else _map_as_user(pid))
        descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return Namespace(descriptor, first_id if privileged else os.geteuid())


@contextlib.asynccontextmanager
async def _holder() -> AsyncIterator[int]:
    """A process in a new namespace, for as long as it takes to map its users."""
    try:
        process = await asyncio.create_subprocess_exec(
            "unshare",
            "--user",
            "cat",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        message = "unshare (util-linux) is not installed"
        raise NamespaceUnavailableError(message) from None
    try:
        await _unshared(process)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _unshared(process: asyncio.subprocess.Process) -> None:
    own = _OWN.readlink()
    deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process.pid}/ns/user").readlink() != own:
                return
        await asyncio.sleep(0.005)
    message = "this machine allows no user namespaces (kernel.unprivileged_userns_clone?)"
    raise NamespaceUnavailableError(message)


async def _map_as_root(pid: int, first_id: int) -> None:
    try:
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text(f"0 {first_id} {_IDS}")
    except OSError as error:
        message = f"ids from {first_id} on cannot be mapped: {error}"
        raise NamespaceUnavailableError(message) from error


async def _map_as_user(pid: int) -> None:
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        first, count = _given(Path(f"/etc/sub{kind}"))
        own_and_given = ("0", str(own), "1", "1", str(first), str(count))
        try:
            process = await asyncio.create_subprocess_exec(
                f"new{kind}map", str(pid), *own_and_given, stderr=asyncio.subprocess.PIPE
            )
        except FileNotFoundError:
            message = f"new{kind}map (package uidmap) is not installed"
            raise NamespaceUnavailableError(message) from None
        _, complaint = await process.communicate()
        if process.returncode:
            raise NamespaceUnavailableError(complaint.decode(errors="replace").strip())


def _given(file: Path) -> tuple[int, int]:
    """The first range that the machine gives to this user, by name or by number."""
    names = {str(os.geteuid()), _user_name()}
    with contextlib.suppress(OSError):
        for name, first, count in re.findall(r"(?m)^([^:#]+):(\d+):(\d+)", file.read_text()):
            if name in names and int(count) >= _IDS - 1:
                return int(first), int(count)
    message = f"{file} has no range of {_IDS} ids for {' or '.join(sorted(filter(None, names)))}"
    raise NamespaceUnavailableError(message)


def _user_name() -> str:
    import pwd  # noqa: PLC0415 - not on every system

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
