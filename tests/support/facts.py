"""Events to say in tests of the machinery, which does not care what they mean."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.bus import Bus, Message, connect
from libs.chassis.context import Cause, bound
from libs.chassis.inbox import Inbox
from libs.chassis.outbox import Outbox
from libs.chassis.postgres import Connection, Database
from libs.contracts.builder import ImageFailed
from libs.contracts.bus import ConsumerSpec, consumers_of, stream_of
from tests.support.envelopes import enveloped, message_of
from tests.support.nats import NatsServer

ORG = UUID(int=7)
SOURCE = "builder"
STREAM = stream_of(SOURCE)
CAUSE = Cause(actor="service:builder", org_id=ORG, correlation_id="a-test")


@dataclass(frozen=True, slots=True)
class Tx:
    """What a small service binds to its transactions."""

    connection: Connection
    outbox: Outbox
    inbox: Inbox


def bind(connection: Connection) -> Tx:
    return Tx(connection, Outbox(connection, service=SOURCE), Inbox(connection))


def fact(*, entity: int = 1, reason: str = "it does not build") -> ImageFailed:
    """``image.failed``: what the builder says and both registry and deployer hear."""
    return ImageFailed(
        build_id=UUID(int=entity),
        bento_id=UUID(int=2),
        bento_digest=f"sha256:{'0' * 64}",
        code="build-failed",
        reason=reason,
        revision_id=None,
    )


async def say(database: Database[Tx], count: int, *, entities: int = 1, first: int = 1) -> None:
    """``count`` facts, one transaction each, with growing versions per entity."""
    with bound(CAUSE):
        for number in range(first - 1, first - 1 + count):
            async with database.transaction() as tx:
                await tx.outbox.append(
                    fact(entity=1 + number % entities), entity_seq=1 + number // entities
                )


def message(*, entity: int = 1, seq: int = 1, reason: str = "it does not build") -> Message:
    """A whole envelope, for tests that publish without an outbox."""
    event = fact(entity=entity, reason=reason)
    return message_of(enveloped(event, SOURCE, org=ORG, seq=seq))


def consumer(service: str = "deployer", purpose: str = "images") -> ConsumerSpec:
    [spec] = [each for each in consumers_of(service) if each.purpose == purpose]
    return spec


@asynccontextmanager
async def admin(server: NatsServer) -> AsyncIterator[Bus]:
    """The operator, who may do what no service may."""
    async with await connect(server.url(), "admin") as bus:
        yield bus


async def stored(bus: Bus, stream: str = STREAM) -> list[str]:
    """Ids of everything in the stream, in its order."""
    state = await bus.state(stream)
    return [found async for _, found in bus.stored_ids(stream, after=0, upto=state.last_seq)]
