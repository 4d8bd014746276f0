"""Whether processes are isolated, and how: tried once when a service starts."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from libs.chassis.isolation.sight import Sight, sight, sight_of_root, trespasses
from libs.chassis.isolation.ways import Bubblewrap, Ids, Unshare, Way, entered
from libs.chassis.process import Command

AUTO: Final = "auto"
NONE: Final = "none"
NAMESPACE: Final = "namespace"

_TOLD: Final = "isolation.json"
_TRIAL: Final = timedelta(seconds=10)
_NOBODY: Final = Ids(65534, 65534)
_WAYS: Final[tuple[tuple[str, Callable[[str, Ids | None], Way]], ...]] = (
    ("bwrap", Bubblewrap),
    ("unshare", Unshare),
)
_BETWEEN: Final = 2
"""Processes between the one that is started and the program: one outside, one inside."""


CURE: Final = (
    "Install bubblewrap, and let this user make namespaces (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a "
    "container: its seccomp profile), or do without: ISOLATION=none in the service's settings"
)


class NotPossibleError(Exception):
    """Isolation was demanded, and does not work here. Says why and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"programs cannot be isolated here: {why}. {CURE}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Isolation:
    """``why`` says what keeps it from being better; ``private`` is what nobody is shown."""

    way: Way | None = None
    private: tuple[Path, ...] = ()
    ids: Ids | None = None
    why: str = ""

    @property
    def isolates(self) -> bool:
        return self.way is not None

    @property
    def mode(self) -> str:
        return NAMESPACE if self.isolates else NONE

    @property
    def by(self) -> str:
        return self.way.name if self.way is not None else ""

    @contextmanager
    def around(
        self, command: Command, readable: Sequence[Path], *, writable: Sequence[Path] = ()
    ) -> Iterator[Command]:
        """The command to start in its place, while the context is entered.

        Of what is not the system it sees what is ``readable`` and ``writable``, and its folder,
        which it may write, too.
        """
        if self.way is None:
            yield command
            return
        shown = sight(
            command.cwd, readable, private=self.private, given=os.environ, writable=writable
        )
        with entered(self.way, command, shown) as inside:
            yield inside

    @contextmanager
    def within(self, command: Command, root: Path, *, start_in: Path) -> Iterator[Command]:
        """As ``around``, with ``root`` in the system's place, and its folder at ``HOME``."""
        if self.way is None:
            raise PermissionError(f"nothing has a root of its own without isolation: {self.why}")
        if not _takes_any_root(self.way.name, self.ids):
            raise PermissionError(f"{self.way.name} would end with a program of that root, as root")
        with entered(self.way, command, sight_of_root(command.cwd, root, start_in=start_in)) as it:
            yield it

    def hand_over(self, home: Path) -> None:
        """Make a program's home, and all that is in it, its own."""
        if self.ids is not None:
            _give(home, self.ids)

    def take_back(self, home: Path) -> None:
        """Make it ours: nobody who runs as it did owns it any more."""
        if self.ids is not None:
            _give(home, Ids(os.geteuid(), os.getegid()))


def depth(argv: Sequence[str]) -> int:
    """How many processes are between the one that ``argv`` started and the program."""
    return _BETWEEN if Path(argv[0]).name in {name for name, _ in _WAYS} else 0


def tell(isolation: Isolation, root: Path) -> None:
    """For whoever looks at the machine rather than asks the deployer."""
    root.mkdir(parents=True, exist_ok=True)
    described = {"mode": isolation.mode, "by": isolation.by, "why": isolation.why}
    (root / _TOLD).write_text(json.dumps(described))


def told(root: Path) -> str:
    """What ``tell`` told, in words; nothing where it did not."""
    try:
        described = json.loads((root / _TOLD).read_bytes())
    except (OSError, ValueError):
        return ""
    return (
        f"isolated by {described['by']}" if described["by"] else f"not isolated: {described['why']}"
    )


def choose(wanted: str, private: Sequence[Path], *, any_root: bool = False) -> Isolation:
    """The best that works here of what is ``wanted``. Raises ``NotPossibleError``.

    ``any_root``: what runs will see another root than the machine's.
    """
    if wanted == NONE:
        return Isolation(why="it is switched off by the setting `isolation`")
    ids = _somebody_else() if os.geteuid() == 0 else None
    reasons = [seen] if (seen := trespasses(private)) else []
    for name, way_of in _WAYS if not reasons else ():
        if any_root and not _takes_any_root(name, ids):
            continue
        program = shutil.which(name)
        if program is None:
            reasons.append(f"{name} is not installed")
            continue
        way = way_of(program, ids)
        refused = _try(way, ids)
        if not refused:
            return Isolation(way, tuple(each.resolve() for each in private), ids)
        reasons.append(f"{name}: {refused}")
    why = "; ".join(reasons)
    if wanted == NAMESPACE:
        raise NotPossibleError(why)
    return Isolation(why=why)


def _takes_any_root(name: str, ids: Ids | None) -> bool:
    """For root, bubblewrap needs a program of that root to become somebody else."""
    return ids is None or name != "bwrap"


def _give(home: Path, ids: Ids) -> None:
    for _, folders, files, at in os.fwalk(home):
        for name in (".", *folders, *files):
            if os.stat(name, dir_fd=at, follow_symlinks=False).st_uid != ids.user:
                os.chown(name, *ids, dir_fd=at, follow_symlinks=False)


def _somebody_else() -> Ids:
    """Owns nothing that programs are shown but their homes."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY
    return Ids(nobody.pw_uid, nobody.pw_gid)


def _try(way: Way, ids: Ids | None) -> str:
    """Run something that looks for what it may not see; what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="isolation-") as folder:
        hidden, home = Path(folder) / "hidden", Path(folder) / "home"
        hidden.mkdir()
        (home / "tmp").mkdir(parents=True)
        Isolation(way, ids=ids).hand_over(home)
        script = f'test ! -e "{hidden}" && test "$$" -le 8 && echo x > "{home}/x"'
        command = Command(("/bin/sh", "-c", script), {"PATH": os.defpath}, home)
        return _refusal(way, command, sight(home, (), private=(hidden,), given={}))


def _refusal(way: Way, command: Command, shown: Sight) -> str:
    try:
        with entered(way, command, shown) as inside:
            ended = subprocess.run(
                inside.argv,
                env=inside.env,
                cwd=inside.cwd,
                pass_fds=inside.pass_fds,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TRIAL.total_seconds(),
                check=False,
            )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if ended.returncode == 0:
        return ""
    return ended.stderr.strip() or f"a trial ended with status {ended.returncode}"
