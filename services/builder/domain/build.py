"""A build and what it is made of."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


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
    causation_id: UUID
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built, pinned by digests."""

    id: UUID
    org_id: UUID
    revision_id: UUID
    deployment_id: UUID
    target: str
    bento_id: UUID
    repository: str
    version: str
    bento_digest: str
    models: tuple[Model, ...]
    origin: Origin
    attempts: int = 0
    """How often it was begun, this time included."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An installed Python."""

    path: str
    version: str
    platform: str


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image: ``digest`` is that of everything that went into it."""

    digest: str
    uri: str
    reused: bool


@dataclass(frozen=True, slots=True)
class BuildView:
    """A build as people see it."""

    id: UUID
    status: str
    bento: str
    revision_id: UUID
    image_digest: str | None
    uri: str | None
    reused: bool
    seconds: float | None
    code: str | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
