"""What the controller asks of a place where revisions run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from services.deployer.domain.config import Envs
from services.deployer.domain.deployment import Replica
from services.deployer.domain.resources import Resources
from services.deployer.plan import Seen


@dataclass(frozen=True, slots=True)
class Watch:
    """A replica and the paths on which it answers probes."""

    replica: Replica
    readyz: str
    livez: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that one replica is started with. ``needs`` maps a dependency to its URL."""

    replica: Replica
    image_uri: str
    needs: Mapping[str, str]
    envs: Envs = field(repr=False)
    overrides: Mapping[str, Any]
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Paths below its home, and contents: for its eyes alone."""
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Glance:
    """One process for people to see."""

    state: str
    pid: int | None
    restarts: int


class Target(Protocol):
    """Starting and stopping are begun here and observed later: nothing waits for a process."""

    @property
    def unenforced(self) -> Mapping[str, str]:
        """By the name of a resource, why a process may take more of it than it asked for."""

    def choose_port(self, taken: Collection[int], *, preferred: int | None = None) -> int:
        """A port that is free now and not ``taken``; the ``preferred`` one if it is."""

    async def observe(self, watches: Sequence[Watch]) -> list[Seen]:
        """What each replica's process is doing now."""

    def start(self, launch: Launch) -> None:
        """Run it. Idempotent: one that runs is left alone."""

    def stop(self, replica: Replica) -> None:
        """Begin to end it: it may finish what it does."""

    def forget(self, replica: Replica) -> None:
        """It has ended; remove what it leaves, its log apart."""

    async def sweep(self, known: Collection[UUID]) -> None:
        """End every process of ours whose replica is not ``known``."""

    def last_words(self, replica: Replica, *, lines: int = 40) -> str:
        """The end of its log, and how it ended."""

    def log_of(self, replica: Replica) -> Path:
        """Where its output goes, before and after its time too."""

    def glance(self, replica: Replica) -> Glance:
        """What was last known of it."""

    def remove_logs(self, deployment_id: UUID) -> None:
        """The deployment is no more."""
