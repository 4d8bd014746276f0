"""A deployment, its revisions and the processes that serve them, as they are known."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from libs.chassis.context import Cause
from libs.contracts.identity import Person
from services.deployer.domain.layout import Layout
from services.deployer.domain.names import Address


class Goal(StrEnum):
    """What somebody wants of a deployment."""

    RUN = "run"
    STOP = "stop"
    REMOVE = "remove"


class Stage(StrEnum):
    """How far a revision has come. It never goes back, but for an image that was lost."""

    PENDING = "pending"  # waits for its image
    BUILT = "built"  # may run
    ROUTED = "routed"  # answers; its traffic is asked for
    SERVING = "serving"  # its traffic has arrived
    FAILED = "failed"
    IMAGE_FAILED = "image-failed"
    RETIRED = "retired"  # nothing of it runs, and nothing will


_UNTIL_SERVING: Final = {
    Stage.PENDING: "image-building",
    Stage.FAILED: "failed",
    Stage.IMAGE_FAILED: "image-build-failed",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One name and what belongs to it. Labels are ``{"key", "value"}`` in the order given."""

    id: UUID
    org_id: UUID
    org: str
    cluster: str
    address: Address
    goal: Goal
    labels: tuple[dict[str, str], ...]
    creator: Person
    cause: Cause
    generation: int
    applied_generation: int
    applied_at: datetime | None
    routed_revision_id: UUID | None
    upstreams: tuple[str, ...]
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Nothing runs, and nothing should."""
        return self.goal is not Goal.RUN and self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Revision:
    """What a deployment was at one time. All but its progress is immutable."""

    id: UUID
    deployment_id: UUID
    number: int
    stage: Stage
    layout: Layout
    access_authorization: bool
    cause: Cause
    image_uri: str | None
    image_digest: str | None
    held: bool
    routed_generation: int | None
    code: str
    reason: str
    trouble: str

    @property
    def recreate(self) -> bool:
        """The old revision ends before this one begins: one service that asks for it suffices."""
        return any(service.recreate for service in self.layout)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a revision was made from, for those who want to see it."""

    config: dict[str, Any]
    bento: dict[str, Any]
    creator: Person
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Replica:
    """One place of one service of a revision, and the port that belongs to it."""

    id: UUID
    deployment_id: UUID
    revision_id: UUID
    service: str
    position: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def status_of(deployment: Deployment, latest: Revision | None) -> str:
    """The word that BentoML's client knows.

    Never one that it takes for the end while there is still hope: an update that failed is
    ``failed`` although the old revision serves, because that is what its waiter must learn.
    """
    if deployment.goal is Goal.REMOVE or latest is None:
        return "terminating"
    if deployment.goal is Goal.STOP:
        return "terminated" if deployment.ended else "terminating"
    if latest.stage is Stage.SERVING:
        return "failed" if latest.trouble else "running"
    return _UNTIL_SERVING.get(latest.stage, "deploying")


def reason_of(deployment: Deployment, latest: Revision | None) -> str:
    """Why the status is what it is, where there is something to say."""
    if latest is None or deployment.goal is not Goal.RUN:
        return ""
    return latest.trouble or latest.reason
