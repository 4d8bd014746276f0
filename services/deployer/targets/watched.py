"""What is remembered of one replica's process between two looks at it. Time is passed in."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from libs.chassis.cgroups import Group
from libs.chassis.process import Process, tail
from services.deployer.domain.resources import written
from services.deployer.plan import Phase

BACKOFF: Final = timedelta(seconds=0.25)
LONGEST: Final = timedelta(seconds=30)
STABLE: Final = timedelta(seconds=20)
"""How long a process must have been ready for its earlier failures to be forgotten."""
MISSES: Final = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the target is.

    ``start`` is how long a process may take to be ready, ``grace`` how long what it is doing
    may take when it is stopped, ``probe`` how often one that is ready is asked.
    """

    start: timedelta
    grace: timedelta
    probe: timedelta


@dataclass(slots=True)
class Watched:
    """One replica. Times are of the event loop's clock."""

    log: Path
    process: Process | None = None
    begun_at: float = 0.0
    ready_at: float | None = None
    failures: int = 0
    restarts: int = 0
    due_at: float = 0.0
    ending: bool = False
    gone: bool = False
    looked_at: float = 0.0
    misses: int = 0
    workers: set[int] = field(default_factory=set)
    needs: tuple[str, ...] = ()
    exit_status: int | None = None
    refused: str = ""
    starved: int | None = None
    """Bytes that it needed more than, and was ended for that."""

    @property
    def phase(self) -> Phase:
        if self.ending:
            return Phase.STOPPING
        if self.gone:
            return Phase.GONE
        if self.process is None:
            return Phase.DOWN
        return Phase.STARTING if self.ready_at is None else Phase.READY

    def begun(self, process: Process, needs: tuple[str, ...], now: float) -> None:
        self.process, self.needs, self.begun_at = process, needs, now
        self.ready_at, self.gone, self.misses, self.exit_status = None, False, 0, None
        self.workers, self.refused, self.starved = set(), "", None

    def weighed(self, group: Group) -> None:
        """Before its ``group`` goes, and with it what that knows."""
        if group.starved:
            self.starved = group.memory_bytes

    def answered(self, now: float) -> None:
        """A probe succeeded."""
        self.misses = 0
        if self.ready_at is None:
            self.ready_at = now
        if now - self.ready_at >= STABLE.total_seconds():
            self.failures = 0

    def failed(self, now: float) -> None:
        """The attempt has ended, or is to be ended, although nobody asked for it."""
        self.failures += 1
        pause = BACKOFF * 2 ** min(self.failures - 1, 10)
        self.due_at = now + min(pause, LONGEST).total_seconds()

    def last_words(self, lines: int) -> str:
        """How its log and it itself ended, and why, as far as the kernel knows that."""
        words = self.refused or tail(self.log, lines).rstrip()
        ended = "" if self.exit_status is None else f"\n(exit status {self.exit_status})"
        said = f"{words}{ended}".strip().replace("\0", "\N{REPLACEMENT CHARACTER}")
        said = said or "it ended without a word"
        if self.starved is None:
            return said
        return f"it needed more than its memory limit of {written(self.starved)}: {said}"

    def staffed(self, present: frozenset[int], *, attempts: int) -> bool:
        """Whether it still has workers, and does not go through them before it was ever ready.

        The server itself never ends when they crash, and is slow to replace them.
        """
        lost = bool(self.workers) and not present
        self.workers |= present
        churned = self.ready_at is None and len(self.workers) - len(present) >= attempts
        return not lost and not churned
