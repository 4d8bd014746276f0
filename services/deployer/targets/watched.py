"""What is remembered of one replica's process between two looks at it. Time is passed in."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from libs.chassis.process import Process
from services.deployer.plan import Phase

BACKOFF: Final = timedelta(seconds=0.25)
LONGEST: Final = timedelta(seconds=30)
STABLE: Final = timedelta(seconds=20)
"""How long a process must have been ready for its earlier failures to be forgotten."""
MISSES: Final = 3


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
        self.workers, self.refused = set(), ""

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

    def staffed(self, present: frozenset[int], *, attempts: int) -> bool:
        """Whether it still has workers, and does not go through them before it was ever ready.

        The server itself never ends when they crash, and is slow to replace them.
        """
        lost = bool(self.workers) and not present
        self.workers |= present
        churned = self.ready_at is None and len(self.workers) - len(present) >= attempts
        return not lost and not churned
