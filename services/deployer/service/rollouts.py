"""What the bus reports and what the controller finds out. Each use case is one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from libs.chassis.postgres import Database
from libs.contracts.builder import ImageBuilt, ImageFailed
from libs.contracts.event import Envelope
from libs.contracts.gateway import RouteApplied
from libs.contracts.registry import ResolvedBento
from services.deployer.domain.config import Config, from_wire
from services.deployer.domain.deployment import Deployment, Goal, Replica, Revision, Stage
from services.deployer.service import facts
from services.deployer.service.tx import Tx, because

_ROUTABLE = frozenset({Stage.BUILT, Stage.ROUTED, Stage.SERVING})


@dataclass(frozen=True, slots=True)
class Situation:
    """What the controller has to know of one deployment. Retired revisions are left out."""

    deployment: Deployment
    revisions: tuple[Revision, ...]
    replicas: tuple[Replica, ...]


class Rollouts:
    """What it finds changed meanwhile it leaves alone: the next look plans anew."""

    def __init__(
        self,
        database: Database[Tx],
        *,
        woken: Callable[[UUID], None],
        kind: facts.Kind = "environment",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._woken = woken
        self._kind = kind
        self._clock = clock

    async def image_built(self, envelope: Envelope[ImageBuilt], consumer: str) -> None:
        """The revision may run. Idempotent by inbox, and by stage."""
        built = envelope.data
        if built.revision_id is None:
            return
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, envelope.id):
                return
            revision = await tx.revisions.get(built.revision_id)
            if revision is None:
                return
            uri = built.uri if built.kind == "environment" else built.folder
            if uri is None:
                reason = f"this target runs folders, and the build made an image ({built.kind})"
                await self._fail(
                    tx, revision, Stage.IMAGE_FAILED, code="image-kind-unsupported", reason=reason
                )
            await tx.revisions.built(revision.id, uri=uri or built.uri, digest=built.digest)
        self._woken(revision.deployment_id)

    async def image_failed(self, envelope: Envelope[ImageFailed], consumer: str) -> None:
        """The revision will not run. Idempotent by inbox, and by stage."""
        failure = envelope.data
        if failure.revision_id is None:
            return
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, envelope.id):
                return
            revision = await tx.revisions.get(failure.revision_id)
            if revision is None:
                return
            await self._fail(
                tx, revision, Stage.IMAGE_FAILED, code=failure.code, reason=failure.reason
            )
        self._woken(revision.deployment_id)

    async def route_applied(self, envelope: Envelope[RouteApplied], consumer: str) -> None:
        """The traffic has arrived. An older generation than the last one changes nothing."""
        applied = envelope.data
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, envelope.id):
                return
            revision_id = await tx.deployments.applied(
                applied.deployment_id, applied.generation, self._clock()
            )
            if revision_id is not None:
                await tx.revisions.serving(revision_id, applied.generation)
        self._woken(applied.deployment_id)

    async def active(self) -> set[UUID]:
        """Deployments for which there may be something to do."""
        async with self._database.read() as tx:
            return await tx.deployments.active()

    async def replica_ids(self) -> set[UUID]:
        async with self._database.read() as tx:
            return await tx.replicas.ids()

    async def situation(self, deployment_id: UUID) -> Situation | None:
        """None when it is no more.

        Read in this order, the goal is never older than the revisions: what was made after
        somebody changed their mind is not taken for something to wind down.
        """
        async with self._database.read() as tx:
            replicas = await tx.replicas.of(deployment_id)
            revisions = await tx.revisions.live(deployment_id)
            deployment = await tx.deployments.get(deployment_id)
        if deployment is None:
            return None
        return Situation(deployment, tuple(revisions), tuple(replicas))

    async def config(self, revision: Revision) -> Config:
        async with self._database.read() as tx:
            return from_wire(await tx.revisions.config(revision.id))

    async def bento(self, revision: Revision) -> ResolvedBento:
        async with self._database.read() as tx:
            return await tx.revisions.bento(revision.id)

    async def ports(self) -> set[int]:
        """Those that belong to a replica."""
        async with self._database.read() as tx:
            return await tx.replicas.ports()

    async def place(self, replica: Replica) -> bool:
        """Give it its place and its port before it starts; False when somebody was faster."""
        async with self._database.transaction() as tx:
            return await tx.replicas.put(replica)

    async def forget(self, replica: Replica) -> None:
        async with self._database.transaction() as tx:
            await tx.replicas.remove(replica.id)

    async def held(self, revision: Revision) -> None:
        """The builder keeps its image."""
        async with self._database.transaction() as tx:
            await tx.revisions.hold(revision.id, held=True)

    async def image_lost(self, revision: Revision) -> None:
        """Its image was pruned before it could be held: ask for another."""
        with because(revision.cause, "deployment.request"):
            async with self._database.transaction() as tx:
                deployment = await tx.deployments.get(revision.deployment_id, lock=True)
                if deployment is None:
                    return
                await tx.revisions.unbuilt(revision.id)
                bento = await tx.revisions.bento(revision.id)
                names = from_wire(await tx.revisions.config(revision.id)).secrets
                known = await tx.secrets.hold(deployment.org_id, names)
                wanted = [name for name in names if name in known and known[name].builds]
                event = facts.requested(
                    deployment, revision, bento, kind=self._kind, secrets=wanted
                )
                await tx.say(event, org_id=deployment.org_id)

    async def route(self, revision: Revision, upstreams: tuple[str, ...]) -> None:
        """It answers, and traffic belongs to it from now on."""
        with because(revision.cause, "deployment.route"):
            async with self._database.transaction() as tx:
                deployment = await tx.deployments.get(revision.deployment_id, lock=True)
                now = await tx.revisions.get(revision.id)
                if deployment is None or now is None or deployment.goal is not Goal.RUN:
                    return
                if now.stage not in _ROUTABLE:
                    return
                if now.stage is Stage.BUILT:
                    await tx.say(facts.ready(deployment, now), org_id=deployment.org_id)
                generation = await tx.deployments.route(
                    deployment.id, now.id, upstreams, now=self._clock()
                )
                await tx.revisions.routed(now.id, generation)
                event = facts.routed(deployment, now, generation=generation, upstreams=upstreams)
                await tx.say(event, org_id=deployment.org_id)

    async def fail(self, revision: Revision, *, code: str, reason: str) -> None:
        """It will not run without another change."""
        with because(revision.cause, "deployment.fail"):
            async with self._database.transaction() as tx:
                await self._fail(tx, revision, Stage.FAILED, code=code, reason=reason)

    async def trouble(self, revision: Revision, text: str) -> None:
        """It served and has lost a service; with no ``text`` it has it back."""
        with because(revision.cause, "deployment.trouble"):
            async with self._database.transaction() as tx:
                deployment = await tx.deployments.get(revision.deployment_id, lock=True)
                if deployment is None or not await tx.revisions.trouble(revision.id, text):
                    return
                event = facts.updated(deployment, {"trouble": revision.trouble}, {"trouble": text})
                await tx.say(event, org_id=deployment.org_id)

    async def released(self, revision: Revision, *, retire: bool) -> None:
        """Nothing of it runs, and its image is no longer held for it."""
        async with self._database.transaction() as tx:
            if retire:
                await tx.revisions.retire(revision.id)
            else:
                await tx.revisions.hold(revision.id, held=False)

    async def end(self, deployment: Deployment) -> None:
        """Nothing of it runs: say so, and free its name if it was deleted."""
        with because(deployment.cause, "deployment.end"):
            async with self._database.transaction() as tx:
                now = await tx.deployments.get(deployment.id, lock=True)
                if now is None or now.goal is Goal.RUN or await tx.revisions.live(now.id):
                    return
                if not now.ended:
                    generation = await tx.deployments.end(now.id, self._clock())
                    await tx.say(facts.terminated(now, generation), org_id=now.org_id)
                if now.goal is Goal.REMOVE:
                    await tx.say(facts.deleted(now), org_id=now.org_id)
                    await tx.deployments.remove(now.id)

    async def _fail(
        self, tx: Tx, revision: Revision, stage: Stage, *, code: str, reason: str
    ) -> None:
        deployment = await tx.deployments.get(revision.deployment_id, lock=True)
        if deployment is None:
            return
        event = facts.failed(deployment, revision, code=code, reason=reason)
        if await tx.revisions.fail(revision.id, stage, code=code, reason=event.reason):
            await tx.say(event, org_id=deployment.org_id)
