"""Making a revision: pinned to digests, built anew unless its image is in use already."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis import context, telemetry
from libs.contracts.identity import Person, Principal
from libs.contracts.registry import ResolvedBento
from services.deployer.domain.config import Config, to_wire
from services.deployer.domain.deployment import Deployment, Goal, Revision, Stage
from services.deployer.domain.layout import Layout
from services.deployer.errors import DeploymentInvalidError
from services.deployer.service.facts import Kind, requested
from services.deployer.service.tx import Tx
from services.deployer.store import Draft

_RUNNABLE: Final = frozenset({Stage.BUILT, Stage.ROUTED, Stage.SERVING})
_COMING_UP: Final = frozenset({Stage.PENDING, Stage.BUILT, Stage.ROUTED})


@dataclass(frozen=True, slots=True)
class Make:
    """A revision to be. ``previous`` is the latest there was."""

    deployment: Deployment
    bento: ResolvedBento
    config: Config
    layout: Layout
    creator: Person
    previous: Revision | None = None

    @property
    def number(self) -> int:
        return self.previous.number + 1 if self.previous is not None else 1


async def revise(tx: Tx, make: Make, *, kind: Kind, now: datetime) -> None:
    """Add the revision and aim at it; ask for a build unless its image is in use."""
    deployment = make.deployment
    for_build = await _secrets_for_build(tx, make)
    image = None if for_build else await _image_in_use(tx, make)
    revision = _revision(make, image)
    draft = Draft(revision, make.bento, to_wire(make.config), make.creator, now)
    await tx.revisions.add(draft)
    await tx.deployments.aim(deployment.id, Goal.RUN, revision.cause, now=now)
    if image is None:
        telemetry.link(make.bento.pushed_traceparent)
        event = requested(deployment, revision, make.bento, kind=kind, secrets=for_build)
        await tx.say(event, org_id=deployment.org_id)


async def _secrets_for_build(tx: Tx, make: Make) -> tuple[str, ...]:
    """Names of those. All are there, and stay until this is committed: the revision keeps them.

    What they are by now, and whether the image is the same, only the builder can tell.
    """
    known = await tx.secrets.hold(make.deployment.org_id, make.config.secrets)
    for name in make.config.secrets:
        if name not in known:
            raise DeploymentInvalidError("secrets", f"there is no secret '{name[:80]}'")
    return tuple(name for name in make.config.secrets if known[name].builds)


async def is_same_request(tx: Tx, there: Deployment, make: Make) -> bool:
    """Whether ``there`` is what an earlier, unanswered attempt of this request has made."""
    wanted = make.deployment
    latest = (await tx.revisions.latest([there.id])).get(there.id)
    if latest is None or latest.number != 1 or latest.stage not in _COMING_UP:
        return False
    if (there.goal, there.creator, there.labels) != (Goal.RUN, wanted.creator, wanted.labels):
        return False
    if await tx.revisions.config(latest.id) != to_wire(make.config):
        return False
    return pinned(await tx.revisions.bento(latest.id)) == pinned(make.bento)


def pinned(bento: ResolvedBento) -> dict[str, Any]:
    """What a revision runs, to the byte."""
    return {
        "bento": f"{bento.repository}:{bento.version}",
        "bento_digest": bento.digest,
        "models": {f"{each.repository}:{each.version}": each.digest for each in bento.models},
    }


def person_of(principal: Principal) -> Person:
    """Whom to show as creator: the user, or the service that asks for itself."""
    if principal.person is not None:
        return principal.person
    return Person(id=UUID(int=0), name=principal.actor, email="", first_name="", last_name="")


def current_cause() -> context.Cause:
    """The request's own, with the span that it has now."""
    cause = context.current()
    return replace(cause, traceparent=telemetry.traceparent() or cause.traceparent)


def _revision(make: Make, image: Revision | None) -> Revision:
    return Revision(
        id=uuid7(),
        deployment_id=make.deployment.id,
        number=make.number,
        stage=Stage.PENDING if image is None else Stage.BUILT,
        layout=make.layout,
        access_authorization=make.config.access_authorization,
        cause=current_cause(),
        image_uri=image.image_uri if image else None,
        image_digest=image.image_digest if image else None,
        held=False,
        routed_generation=None,
        code="",
        reason="",
        trouble="",
    )


async def _image_in_use(tx: Tx, make: Make) -> Revision | None:
    """The previous revision, if it runs the same bytes: its image is there, and is held."""
    previous = make.previous
    if previous is None or not previous.held or previous.stage not in _RUNNABLE:
        return None
    if make.deployment.goal is not Goal.RUN:
        return None
    same = pinned(await tx.revisions.bento(previous.id)) == pinned(make.bento)
    return previous if same else None
