"""Deployments, revisions and replicas in any state, and plans in a few words."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from libs.chassis.context import Cause
from services.deployer.domain.deployment import Deployment, Goal, Replica, Revision, Stage
from services.deployer.domain.layout import ServiceSpec
from services.deployer.domain.names import Address
from services.deployer.plan import (
    Action,
    End,
    Fail,
    Forget,
    Hold,
    Phase,
    Release,
    Route,
    Seen,
    Start,
    Stop,
    Trouble,
)
from tests.support.deployer import ADA, ORG

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CAUSE = Cause("user:1", ORG, "request")
INNER = ServiceSpec(
    "Inner", entry=False, replicas=1, needs=(), readyz="/readyz", livez="/livez", recreate=False
)
GATE = replace(INNER, name="Gate", entry=True, needs=("Inner",))
ALONE = replace(GATE, needs=())


def revision(
    number: int, stage: Stage, *, routed: int | None = None, **changes: object
) -> Revision:
    plain = Revision(
        id=UUID(int=number),
        deployment_id=UUID(int=99),
        number=number,
        stage=stage,
        layout=(ALONE,),
        access_authorization=False,
        cause=CAUSE,
        image_uri="file:///image",
        image_digest="sha256:aa",
        held=stage not in {Stage.PENDING, Stage.IMAGE_FAILED},
        routed_generation=routed,
        code="",
        reason="",
        trouble="",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own keywords


def deployment(
    goal: Goal = Goal.RUN, *, routed: int | None = None, generation: int = 0, applied: int = 0
) -> Deployment:
    return Deployment(
        id=UUID(int=99),
        org_id=ORG,
        org="default",
        cluster="default",
        address=Address("default", "gw"),
        goal=goal,
        labels=(),
        creator=ADA,
        cause=CAUSE,
        generation=generation,
        applied_generation=applied,
        applied_at=NOW if applied else None,
        routed_revision_id=UUID(int=routed) if routed else None,
        upstreams=(f"http://127.0.0.1:{routed}00",) if routed else (),
        ended_at=None,
        created_at=NOW,
        updated_at=NOW,
    )


def seen(number: int, phase: Phase, *, service: str = "Gate", **changes: object) -> Seen:
    port = number * 100 + (50 if service == "Inner" else 0)
    place = Replica(UUID(int=port), UUID(int=99), UUID(int=number), service, position=0, port=port)
    return replace(Seen(place, phase), **changes)  # type: ignore[arg-type]  # a test's own keywords


def brief(action: Action) -> str:
    """``start r2 Gate``: what a person would write on a wall."""
    verb = type(action).__name__.lower()
    match action:
        case Stop(place) | Forget(place):
            return f"{verb} r{place.revision_id.int} {place.service}"
        case End(goal):
            return f"{verb} {goal}"
        case Start() | Route() | Fail() | Trouble() | Release() | Hold():
            return f"{verb} r{action.revision.number} {_more(action)}".strip()


def _more(action: Start | Route | Fail | Trouble | Release | Hold) -> str:
    match action:
        case Start(_, service, _, _):
            return service.name
        case Route(_, upstreams):
            return " ".join(each.rpartition(":")[2] for each in upstreams)
        case Fail(_, _, code):
            return code
        case Trouble(_, place):
            return "begins" if place else "ends"
        case _:
            return "retire" if isinstance(action, Release) and action.retire else ""
