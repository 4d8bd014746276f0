"""Where control groups may be made: hierarchies of version 1, version 2, or a part handed to us."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEMORY: Final = "memory"
CPU: Final = "cpu"
PROCESSES: Final = "pids"
CONTROLLERS: Final = (MEMORY, CPU, PROCESSES)

_MOUNTED: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_HANDED_ON: Final = "cgroup.subtree_control"


class LimitUnavailableError(Exception):
    """A limit was asked for that nothing here would enforce."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the hierarchies are mounted, and which groups this process is in."""

    root: Path = _MOUNTED
    own: Path = _OWN

    def parent_of(self, controller: str) -> Path:
        """The group below which groups with ``controller`` can be made.

        In version 1 that is the root of the controller's hierarchy. In version 2 it is our own
        group, or the one above it, if that was delegated to us; or else the root: the same one
        for every controller, since there a process is in one group only.
        """
        if (self.root / controller).is_dir():
            return self.root / controller
        refused = []
        for group, ours in self._unified():
            why = {each: _refusal(group, each, ours=ours) for each in CONTROLLERS}
            if not why[controller]:
                return group
            refused.append(f"{group} {why[controller]}")
            if not all(why.values()):
                break
        raise LimitUnavailableError("; ".join(refused) or f"{self.root} has no {controller}")

    def _unified(self) -> Iterator[tuple[Path, bool]]:
        """Groups of version 2, the nearest first, and whether they may be ours to arrange."""
        top = self.root / "unified"
        top = top if top.is_dir() else self.root
        if not (top / "cgroup.controllers").exists():
            return
        own = top / self._own_path()
        if own.is_dir():
            yield own, True
        if own != top:
            # A slice is the service manager's own: it delegates scopes and services only.
            if own.parent != top and own.parent.suffix != ".slice" and own.parent.is_dir():
                yield own.parent, True
            yield top, False

    def _own_path(self) -> str:
        try:
            lines = self.own.read_text().splitlines()
        except OSError:
            return ""
        found = next((each[3:] for each in lines if each.startswith("0::/")), "/")
        return "" if ".." in Path(found).parts else found.lstrip("/")


def _refusal(group: Path, controller: str, *, ours: bool) -> str:
    """Why groups below ``group`` have no ``controller``; hands it on where that is left to do."""
    try:
        if not os.access(group, os.W_OK):
            return "is not this user's"
        if controller in (group / _HANDED_ON).read_text().split():
            return ""
        if not ours:
            return f"does not hand {controller} on"
        with (group / _HANDED_ON).open("r+") as file:
            file.write(f"+{controller}")
    except OSError as error:
        if error.errno == errno.EBUSY:
            return f"holds processes itself, so it cannot hand {controller} on"
        return f"does not hand {controller} on ({error.strerror})"
    return ""
