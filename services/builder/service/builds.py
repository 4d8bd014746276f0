"""What can happen to a build: asked for, begun, put off, ended."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.contracts.builder import ImageBuilt, ImageFailed, ImageRequested
from libs.contracts.deployer import DeploymentRequested
from libs.contracts.event import Envelope
from libs.contracts.types import cut
from services.builder.domain import BuildView, Image, Model, Order, Origin
from services.builder.errors import BuildNotFoundError
from services.builder.service.tx import SERVICE, Tx


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
            said = ImageRequested(
                build_id=order.id,
                bento_id=order.bento_id,
                bento=f"{order.repository}:{order.version}",
                bento_digest=order.bento_digest,
                kind="environment",
            )
            await tx.say(said, org_id=order.org_id)
        self._woken()

    async def start(self, *, besides: Collection[UUID] = ()) -> Order | None:
        """The oldest that is due and not among those under way; None when there is none.

        What a worker that died had begun is begun anew.
        """
        async with self._database.transaction() as tx:
            return await tx.builds.start(besides)

    async def put_off(self, order: Order, pause: timedelta) -> None:
        """Begin it again when ``pause`` is over."""
        async with self._database.transaction() as tx:
            await tx.builds.put_off(order.id, pause)

    async def claim(self, order: Order, *, environment: str, image: str) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            await tx.builds.claim(order.id, environment=environment, image=image)

    async def built(self, order: Order, image: Image, seconds: float) -> None:
        async with self._database.transaction() as tx:
            if not await tx.builds.built(order.id, image, seconds):
                return
            said = ImageBuilt(
                build_id=order.id,
                bento_id=order.bento_id,
                bento_digest=order.bento_digest,
                kind="environment",
                uri=image.uri,
                digest=image.digest,
                reused=image.reused,
                seconds=seconds,
                revision_id=order.revision_id,
            )
            await tx.say(said, org_id=order.org_id)

    async def failed(self, order: Order, code: str, reason: str) -> None:
        words = cut(reason.replace("\0", ""))  # which a tool may print, and no table takes
        async with self._database.transaction() as tx:
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

    async def lock(self, key: tuple[UUID, str, str, str]) -> str | None:
        async with self._database.read() as tx:
            return await tx.builds.lock(key)

    async def keep_lock(self, key: tuple[UUID, str, str, str], body: str) -> str:
        """The lock that counts from now on: the first one that was kept."""
        async with self._database.transaction() as tx:
            return await tx.builds.keep_lock(key, body)

    async def newest(self, org_id: UUID, limit: int) -> Sequence[BuildView]:
        async with self._database.read() as tx:
            return await tx.builds.newest(org_id, limit)

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView:
        async with self._database.read() as tx:
            found = await tx.builds.one(org_id, build_id)
        if found is None:
            raise BuildNotFoundError(str(build_id))
        return found


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
    )
