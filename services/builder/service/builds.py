"""What can happen to a build: asked for, begun, put off, ended."""

import platform
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis import context
from libs.chassis.postgres import Database
from libs.contracts.builder import BuildStep, ImageBuilt, ImageFailed, ImageRequested
from libs.contracts.deployer import DeploymentRequested
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import ResolvedBento
from libs.contracts.types import cut
from services.builder.domain import (
    BuildView,
    Ended,
    Image,
    Model,
    Order,
    Origin,
    Planned,
    Report,
    Sought,
    Wish,
)
from services.builder.errors import BuildEndedError, BuildNotFoundError
from services.builder.service.tx import SERVICE, Tx

_NOTHING: Final = Report()
_OWN_PLATFORM: Final = f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}"
"""What a process of this machine is."""


class Builds:
    def __init__(self, database: Database[Tx], *, woken: Callable[[], None]) -> None:
        self._database = database
        self._woken = woken

    async def request(self, envelope: Envelope[DeploymentRequested], *, consumer: str) -> None:
        """Queue what a revision asks for, once."""
        order = _order(envelope)
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, envelope.id):
                return
            await tx.builds.add(order)
            await tx.say(requested(order), org_id=order.org_id)
        self._woken()

    async def order(self, principal: Principal, bento: ResolvedBento, wish: Wish) -> BuildView:
        """Queue a container image of a bento that somebody asks for, and waits for."""
        cause = context.current()
        order = Order(
            id=uuid7(),
            org_id=principal.org_id,
            revision_id=None,
            deployment_id=None,
            target="oci",
            bento_id=bento.bento_id,
            repository=bento.repository,
            version=bento.version,
            bento_digest=bento.digest,
            models=tuple(Model(m.repository, m.version, m.digest) for m in bento.models),
            origin=Origin(
                actor=principal.actor,
                correlation_id=cause.correlation_id,
                causation_id=cause.causation_id,
                traceparent=cause.traceparent,
            ),
            kind="oci",
            wish=wish,
            org=principal.org,
            awaited_by="person",
        )
        async with self._database.transaction() as tx:
            await tx.builds.add(order)
            await tx.say(requested(order), org_id=order.org_id)
        self._woken()
        return await self.one(order.org_id, order.id)

    async def start(
        self,
        *,
        besides: Collection[UUID] = (),
        full: Collection[UUID] = (),
        awaited: bool = False,
    ) -> Order | None:
        """The next that is due; None when there is none.

        What nobody waits for comes last, for a quarter of an hour. Of the rest, it is the turn
        of the organisation that has the fewest under way, however long its queue is; what a
        deployment waits for is begun first there, and then the oldest.

        None of those ``besides`` that are under way, nor of an organisation that is ``full``;
        only what is ``awaited`` when there is room for nothing else. One that would be made of
        the same as one under way stays in the queue, where it takes nobody's place: when its
        turn comes, it finds what was made.

        What a worker that died had begun is begun anew.
        """
        async with self._database.transaction() as tx:
            return await tx.builds.start(besides, full=full, awaited=awaited)

    async def put_off(self, order: Order, pause: timedelta) -> None:
        """Begin it again when ``pause`` is over."""
        async with self._database.transaction() as tx:
            await tx.builds.put_off(order.id, pause)

    async def take_turn(self, order: Order, turn: str) -> None:
        """Nobody else with that ``turn`` is begun while this one is under way."""
        async with self._database.transaction() as tx:
            await tx.builds.take_turn(order.id, turn)

    async def step_back(self, order: Order) -> None:
        """As if it had not been begun. It waits in the queue for the one that has its turn."""
        async with self._database.transaction() as tx:
            await tx.builds.step_back(order.id)

    async def resolved(self, order: Order, models: Sequence[Model]) -> None:
        async with self._database.transaction() as tx:
            await tx.builds.resolved(order.id, models)

    async def claim(self, order: Order, *, environment: str | None = None, image: str) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            await tx.builds.claim(order.id, environment=environment, image=image)

    async def planned(self, order: Order, planned: Planned) -> None:
        async with self._database.transaction() as tx:
            await tx.builds.planned(order.id, planned)

    async def built(
        self, order: Order, image: Image, seconds: float, *, report: Report = _NOTHING
    ) -> None:
        async with self._database.transaction() as tx:
            await _note(tx, order, report)
            ended = await tx.builds.built(order.id, image, seconds)
            if ended is None:
                return
            said = ImageBuilt(
                build_id=order.id,
                bento_id=order.bento_id,
                bento_digest=order.bento_digest,
                kind=order.kind,
                uri=image.uri,
                digest=image.digest,
                folder=image.folder,
                reused=image.reused,
                seconds=seconds,
                revision_id=order.revision_id,
                **_told(ended, report),
            )
            await tx.say(said, org_id=order.org_id)

    async def failed(
        self, order: Order, code: str, reason: str, *, report: Report = _NOTHING
    ) -> None:
        words = cut(reason.replace("\0", ""))  # which a tool may print, and no table takes
        async with self._database.transaction() as tx:
            await _note(tx, order, report)
            ended = await tx.builds.failed(order.id, code, words)
            if ended is not None:
                await tx.say(_fail(order, code, ended=ended, report=report), org_id=order.org_id)

    async def cancel(self, principal: Principal, build_id: UUID) -> BuildView:
        """At once when it is queued; else its worker hears of it and ends it.

        Its end may come first: then it is not cancelled, though this did not say so.
        """
        async with self._database.transaction() as tx:
            marked = await tx.builds.cancel(principal.org_id, build_id, principal.actor)
            if marked is not None and marked[0] == "queued":
                await _say_cancelled(tx, marked[1], _NOTHING)
        self._woken()
        view = await self.one(principal.org_id, build_id)
        if marked is None and view.status != "cancelled":
            raise BuildEndedError(str(build_id), view.status)
        return view

    async def unwanted(self) -> Sequence[Order]:
        """Cancelled, but not yet ended."""
        async with self._database.read() as tx:
            return await tx.builds.unwanted()

    async def cancelled(self, order: Order, *, report: Report = _NOTHING) -> None:
        """Its work has ended; unless it was complete by then."""
        async with self._database.transaction() as tx:
            await _note(tx, order, report)
            await _say_cancelled(tx, order, report)

    async def newest(
        self, org_id: UUID, sought: Sought | None = None, *, before: UUID | None = None, count: int
    ) -> Sequence[BuildView]:
        async with self._database.read() as tx:
            return await tx.builds.newest(org_id, sought or Sought(), before=before, count=count)

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView:
        async with self._database.read() as tx:
            found = await tx.builds.one(org_id, build_id)
        if found is None:
            raise BuildNotFoundError(str(build_id))
        return found


def requested(order: Order) -> ImageRequested:
    """What is said of an order that was queued."""
    return ImageRequested(
        build_id=order.id,
        bento_id=order.bento_id,
        bento=order.bento,
        bento_digest=order.bento_digest,
        kind=order.kind,
        strategy=order.wish.strategy,
    )


def _fail(order: Order, code: str, *, ended: Ended, report: Report) -> ImageFailed:
    return ImageFailed(
        build_id=order.id,
        bento_id=order.bento_id,
        bento_digest=order.bento_digest,
        code=code,
        reason=ended.reason or "",
        revision_id=order.revision_id,
        **_told(ended, report),
    )


def _told(ended: Ended, report: Report) -> dict[str, Any]:
    """What both ends tell alike."""
    return {
        "strategy": ended.strategy,
        "plan_digest": ended.plan_digest,
        "steps": tuple(BuildStep(name=each.name, seconds=each.seconds) for each in report.steps),
        "layers_pushed": report.layers_pushed,
        "layers_reused": report.layers_reused,
    }


async def _note(tx: Tx, order: Order, report: Report) -> None:
    if report.planned is not None:
        await tx.builds.planned(order.id, report.planned)
    await tx.builds.steps(order.id, report.steps)


async def _say_cancelled(tx: Tx, order: Order, report: Report) -> None:
    ended = await tx.builds.cancelled(order.id)
    if ended is not None:
        said = _fail(order, "build-cancelled", ended=ended, report=report)
        await tx.say(said, org_id=order.org_id)


def _order(envelope: Envelope[DeploymentRequested]) -> Order:
    asked = envelope.data
    return Order(
        id=uuid7(),
        org_id=envelope.orgid,
        revision_id=asked.revision_id,
        deployment_id=asked.deployment_id,
        target=asked.target,
        bento_id=asked.bento_id,
        repository=asked.bento_repository,
        version=asked.bento_version,
        bento_digest=asked.bento_digest,
        models=tuple(Model(m.repository, m.version, m.digest) for m in asked.models),
        origin=Origin(
            actor=f"service:{SERVICE}",
            correlation_id=envelope.correlationid,
            causation_id=envelope.id,
            traceparent=envelope.traceparent,
        ),
        kind=asked.kind,
        wish=Wish(platforms=(_OWN_PLATFORM,) if asked.kind == "oci" else (), secrets=asked.secrets),
        org=asked.org,
    )
