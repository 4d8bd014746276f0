"""Who may call, and what the route of a deployment becomes after a fact. No I/O."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
"""Every token the platform issues. Anything else in a header cannot be one of ours."""


def digest_of(token: str) -> bytes:
    """What is stored of a token. Tokens are random, so a slow or salted hash adds nothing.

    Looking a digest up leaks no time that helps: nobody can choose digests bytewise.
    """
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Org:
    id: UUID
    name: str
    description: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: UUID
    name: str
    email: str
    first_name: str
    last_name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a valid token: a user, inside the one organisation the token is for."""

    token_id: UUID
    org: Org
    user: User
    expires_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class State(Enum):
    """A route's state as its callers see it. ``DELETED`` is a tombstone against late facts."""

    STARTING = "starting"
    SERVING = "serving"
    FAILED = "failed"
    TERMINATED = "terminated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Route:
    """One deployment as the data plane must know it.

    ``access_authorization`` is None until the deployer said it: then nobody but a member
    learns why a deployment failed.
    """

    deployment_id: UUID
    org_id: UUID
    namespace: str
    deployment: str
    state: State
    generation: int = 0
    reason: str = ""
    access_authorization: bool | None = None
    upstreams: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        return f"{self.namespace}/{self.deployment}"


@dataclass(frozen=True, slots=True)
class Requested:
    """A revision is on its way. What serves meanwhile goes on serving."""


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


@dataclass(frozen=True, slots=True)
class Routed:
    generation: int
    access_authorization: bool
    upstreams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminated:
    generation: int


@dataclass(frozen=True, slots=True)
class Deleted:
    pass


Fact = Requested | Failed | Routed | Terminated | Deleted


def after(route: Route, fact: Fact) -> Route:
    """``route`` after ``fact``; the same route when the fact is stale or changes nothing."""
    match fact:
        case _ if route.state is State.DELETED:
            pass
        case Requested():
            idle = route.state in {State.FAILED, State.TERMINATED}
            return replace(route, state=State.STARTING, reason="") if idle else route
        case Failed(reason):
            serving = route.state is State.SERVING
            return route if serving else replace(route, state=State.FAILED, reason=reason)
        case Routed() if fact.generation >= route.generation:
            return replace(
                route,
                state=State.SERVING,
                generation=fact.generation,
                reason="",
                access_authorization=fact.access_authorization,
                upstreams=fact.upstreams,
            )
        case Terminated(generation) if generation >= route.generation:
            return replace(
                route, state=State.TERMINATED, generation=generation, reason="", upstreams=()
            )
        case Deleted():
            return replace(route, state=State.DELETED, reason="", upstreams=())
    return route


def corrected(route: Route, seen: Route) -> Route:
    """``route`` as the deployer describes it now (``seen``), unless ours is the newer one."""
    if route.state is State.DELETED or seen.generation < route.generation:
        return route
    return seen
