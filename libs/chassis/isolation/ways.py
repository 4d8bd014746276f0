"""Two ways into namespaces: bubblewrap, and util-linux's ``unshare`` with a launcher of ours.

Both start a process that waits outside, one that is number 1 inside, and below it the program.
The first ones get none of the program's environment: what that says (``LD_PRELOAD``) would
act outside on those. It goes through a descriptor, and so never onto a command line.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from libs.chassis.isolation.calls import refusals
from libs.chassis.isolation.sight import Sight
from libs.chassis.process import Command

_OUTSIDE: Final[Mapping[str, str]] = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
_ENTER: Final = Path(__file__).with_name("enter.py")
_NAMESPACES: Final = ("--unshare-pid", "--unshare-ipc", "--unshare-uts")


class Ids(NamedTuple):
    """Whom a program runs as in place of root."""

    user: int
    group: int


class Way(Protocol):
    """``name`` is the program that it needs."""

    @property
    def name(self) -> str: ...

    def told(self, command: Command, sight: Sight) -> tuple[bytes, ...]:
        """What each of its descriptors holds."""

    def argv(self, command: Command, told: Sequence[int]) -> tuple[str, ...]:
        """A command line that reads those, and ends with that of ``command``."""


@dataclass(frozen=True, slots=True)
class Unshare:
    """Root needs no user namespace and loses its identity; others keep theirs inside of one."""

    program: str
    ids: Ids | None
    name: str = "unshare"

    def argv(self, command: Command, told: Sequence[int]) -> tuple[str, ...]:
        user = () if self.ids else ("--user", "--map-current-user", "--keep-caps")
        spaces = ("--mount", "--pid", "--ipc", "--uts", "--fork")
        python = (sys.executable, "-I", "-S", str(_ENTER), str(told[0]))
        return (self.program, *user, *spaces, "--", *python, *command.argv)

    def told(self, command: Command, sight: Sight) -> tuple[bytes, ...]:
        shown = {
            "mounts": [[str(src), str(path), writable] for src, path, writable in sight.mounts],
            "links": [[str(path), target] for path, target in sight.links],
            "devices": [str(each) for each in sight.devices],
            "ids": self.ids,
            "env": dict(command.env),
            "home": str(sight.start_in or command.cwd),
            "refusals": refusals().hex(),
        }
        return (json.dumps(shown).encode(),)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """``setpriv`` is what root becomes somebody else by."""

    program: str
    ids: Ids | None
    name: str = "bwrap"

    def argv(self, command: Command, told: Sequence[int]) -> tuple[str, ...]:
        options = zip(("--args", "--seccomp"), map(str, told), strict=False)
        lowered = (*chain(*options), "--", *self._lowered())
        return (self.program, *lowered, *command.argv)

    def told(self, command: Command, sight: Sight) -> tuple[bytes, ...]:
        words = [*_NAMESPACES, *self._rights(), "--chdir", str(sight.start_in or command.cwd)]
        words += ("--tmpfs", "/", "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108 - inside
        for source, path, writable in sight.mounts:
            for folder in (*path.parents,)[-2::-1]:  # what it makes by itself is for root alone
                words += ("--dir", str(folder))
            words += ("--bind" if writable else "--ro-bind", str(source), str(path))
        for path, target in sight.links:
            words += ("--symlink", target, str(path))
        words += ("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm")  # noqa: S108 - same
        for device in sight.devices:
            words += ("--dev-bind", str(device), str(device))
        words += ("--remount-ro", "/dev", "--remount-ro", "/")
        for name, value in command.env.items():
            words += ("--setenv", name, value)
        program = refusals()
        return (b"".join(each.encode() + b"\0" for each in words), *([program] if program else []))

    def _rights(self) -> tuple[str, ...]:
        if self.ids is None:
            return ("--unshare-user", "--cap-drop", "ALL")
        kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
        return ("--cap-drop", "ALL", *(word for each in kept for word in ("--cap-add", each)))

    def _lowered(self) -> tuple[str, ...]:
        if self.ids is None:
            return ()
        who = (f"--reuid={self.ids.user}", f"--regid={self.ids.group}", "--clear-groups")
        none = ("--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
        return ("/usr/bin/setpriv", *who, *none, "--no-new-privs", "--")


@contextmanager
def entered(way: Way, command: Command, sight: Sight) -> Iterator[Command]:
    """To be started while the context is entered: its descriptors are ours until then."""
    with ExitStack() as opened:
        told = [opened.enter_context(_held(content)) for content in way.told(command, sight)]
        argv = way.argv(command, told)
        yield replace(command, argv=argv, env=_OUTSIDE, pass_fds=(*command.pass_fds, *told))


@contextmanager
def _held(content: bytes) -> Iterator[int]:
    """A descriptor to read it from: on no disk, and in nobody's view."""
    with os.fdopen(os.memfd_create("isolation"), "wb", buffering=0) as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()
