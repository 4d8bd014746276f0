"""What can happen to a build: asked for, begun, put off, ended."""

import platform
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis import context
from libs.chassis.postgres import Database
from libs.contracts.builder import ImageBuilt, ImageFailed, ImageRequested
from libs.contracts.deployer import DeploymentRequested
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import ResolvedBento
from libs.contracts.types import cut
from services.builder.domain import (
    BuildView,
    Image,
    Model,
    Order,
    Origin,
    Planned,
    Step,
    Wish,
)
from services.builder.errors import BuildNotFoundError
from services.builder.service.tx import SERVICE, Tx

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
            await tx.say(_requested(order), org_id=order.org_id)
        self._woken()

    async def order(self, principal: Principal, bento: ResolvedBento, wish: Wish) -> BuildView:
        """Queue a container image of a bento that somebody asks for."""
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
        )
        async with self._database.transaction() as tx:
            await tx.builds.add(order)
            await tx.say(_requested(order), org_id=order.org_id)
        self._woken()
        return await self.one(order.org_id, order.id)

    async def start(
        self, *, besides: Collection[UUID] = (), full: Collection[UUID] = ()
    ) -> Order | None:
        """The oldest that is due; None when there is none.

        Not of those ``besides`` that are under way, nor of an organisation that is ``full``.

        What a worker that died had begun is begun anew.
        """
        async with self._database.transaction() as tx:
            return await tx.builds.start(besides, full=full)

    async def put_off(self, order: Order, pause: timedelta) -> None:
        """Begin it again when ``pause`` is over."""
        async with self._database.transaction() as tx:
            await tx.builds.put_off(order.id, pause)

    async def claim(self, order: Order, *, environment: str | None = None, image: str) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            await tx.builds.claim(order.id, environment=environment, image=image)

    async def planned(self, order: Order, planned: Planned) -> None:
        async with self._database.transaction() as tx:
            await tx.builds.planned(order.id, planned)

    async def built(
        self, order: Order, image: Image, seconds: float, *, steps: Sequence[Step] = ()
    ) -> None:
        async with self._database.transaction() as tx:
            await tx.builds.steps(order.id, steps)
            if not await tx.builds.built(order.id, image, seconds):
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
            )
            await tx.say(said, org_id=order.org_id)

    async def failed(
        self, order: Order, code: str, reason: str, *, steps: Sequence[Step] = ()
    ) -> None:
        words = cut(reason.replace("\0", ""))  # which a tool may print, and no table takes
        async with self._database.transaction() as tx:
            await tx.builds.steps(order.id, steps)
            if not await tx.builds.failed(order.id, code, words):
                return
            said = ImageFailed(
                build_id=order.id,
                bento_id=order.bento_id,
                bento_digest=order.bento_digest,
                code=code,
                reason=words,
                revision_id=order.revision_id,
            )
            await tx.say(said, org_id=order.org_id)

    async def newest(self, org_id: UUID, limit: int) -> Sequence[BuildView]:
        async with self._database.read() as tx:
            return await tx.builds.newest(org_id, limit)

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView:
        async with self._database.read() as tx:
            found = await tx.builds.one(org_id, build_id)
        if found is None:
            raise BuildNotFoundError(str(build_id))
        return found


def _requested(order: Order) -> ImageRequested:
    return ImageRequested(
        build_id=order.id,
        bento_id=order.bento_id,
        bento=order.bento,
        bento_digest=order.bento_digest,
        kind=order.kind,
    )


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
        wish=Wish(platforms=(_OWN_PLATFORM,)) if asked.kind == "oci" else Wish(),
        org=asked.org,
    )
