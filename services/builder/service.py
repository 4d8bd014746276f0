"""What can happen to a build: asked for, begun, ended; and to an image: held, released, pruned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from libs.chassis.postgres import Connection, Database
from libs.contracts.builder import ImageBuilt, ImageFailed, ImageRequested
from libs.contracts.deployer import DeploymentRequested
from libs.contracts.event import Envelope, Event
from libs.contracts.types import cut
from services.builder.domain import BuildView, Image, Model, Order, Origin
from services.builder.environments import Folders
from services.builder.errors import BuildNotFoundError, ImageGoneError
from services.builder.store import BuildStore, HoldStore

SERVICE: Final = "builder"


@dataclass(frozen=True, slots=True)
class Tx:
    builds: BuildStore
    holds: HoldStore
    inbox: Inbox
    outbox: Outbox

    @classmethod
    def bind(cls, connection: Connection, *, epoch: int = 1) -> "Tx":
        return cls(
            builds=BuildStore(connection),
            holds=HoldStore(connection),
            inbox=Inbox(connection),
            outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        )

    async def say(self, event: Event, *, org_id: UUID) -> None:
        """Append a fact about a build, numbered by its row."""
        seq = await self.builds.advance(event.entity_id)
        await self.outbox.append(event, entity_seq=seq, org_id=org_id)


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

    async def start(self) -> Order | None:
        async with self._database.transaction() as tx:
            return await tx.builds.start()

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


class Images:
    """Complete images, and who needs them."""

    def __init__(self, database: Database[Tx], folders: Folders) -> None:
        self._database = database
        self._folders = folders

    async def hold(self, org_id: UUID, revision_id: UUID, digest: str) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            if not await tx.holds.owned(org_id, digest) or not self._folders.has_image(digest):
                raise ImageGoneError(digest)
            await tx.holds.hold(org_id, revision_id, digest)

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.release(org_id, revision_id)

    async def prune(self) -> list[str]:
        """Set aside what nobody needs, and then remove it; says the names."""
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            gone = self._folders.set_aside(await tx.holds.kept())
        await self._folders.empty_trash()
        return gone


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
