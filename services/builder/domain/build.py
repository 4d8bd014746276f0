"""A build: who asked for what, and how it ends."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from services.builder.domain.strategy import Choice, Wish

Kind = Literal["environment", "oci"]
"""A folder for processes of this machine, or an image for containers."""
AwaitedBy = Literal["deployment", "person", "nobody"]
"""Nobody waits for what is built because a bento was pushed."""
Status = Literal["queued", "running", "built", "failed", "cancelled"]
ENDED: Final = frozenset({"built", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Model:
    repository: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, so that what happens later is said in their name."""

    actor: str
    correlation_id: str
    causation_id: UUID | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built, pinned by digests. ``org`` is the organisation's name."""

    id: UUID
    org_id: UUID
    revision_id: UUID | None
    deployment_id: UUID | None
    target: str
    bento_id: UUID
    repository: str
    version: str
    bento_digest: str
    models: tuple[Model, ...]
    origin: Origin
    kind: Kind = "environment"
    wish: Wish = field(default_factory=Wish)
    org: str = ""
    awaited_by: AwaitedBy = "deployment"
    resolved: bool = True
    """Whether its models are known."""
    attempts: int = 0
    """How often it was begun, this time included."""

    @property
    def bento(self) -> str:
        return f"{self.repository}:{self.version}"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An installed Python."""

    path: str
    version: str
    platform: str


@dataclass(frozen=True, slots=True)
class Target:
    """A Python that need not be here: ``platform`` as uv calls it."""

    version: str
    platform: str


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image.

    ``digest`` of an environment is of everything that went into it, of a container image that
    of its manifest.
    """

    digest: str
    uri: str
    reused: bool
    folder: str | None = None
    """Of a container image that was unpacked here."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What was decided before anything was made."""

    choice: Choice
    digest: str
    body: object


@dataclass(frozen=True, slots=True)
class Step:
    """``seconds`` is None while it is under way."""

    name: str
    began_at: datetime
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How far a build came: its steps, and how many layers were pushed or were there.

    ``planned`` is its plan if that was not written down before.
    """

    steps: tuple[Step, ...] = ()
    layers_pushed: int = 0
    layers_reused: int = 0
    planned: Planned | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What the row of a build that has just ended knows."""

    strategy: str | None
    plan_digest: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Which builds a list shows; an empty word asks for nothing."""

    repository: str = ""
    version: str = ""
    status: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class BuildView:
    """A build as people see it."""

    id: UUID
    kind: str
    status: str
    bento: str
    revision_id: UUID | None
    strategy: str | None
    why: tuple[str, ...]
    plan_digest: str | None
    image_digest: str | None
    uri: str | None
    reused: bool
    seconds: float | None
    steps: tuple[Step, ...]
    code: str | None
    reason: str | None
    attempts: int
    due_at: datetime | None
    """When a queued one is begun, or begun again."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
