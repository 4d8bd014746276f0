"""The composition root: which object knows which."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Subscription, join
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.inbox import Inbox
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Connection, Database, Pool, create_pool
from libs.contracts.bus import consumers_of
from services.events.consumers import LogConsumer
from services.events.controller import anchor_heads
from services.events.http import EventsApi
from services.events.service import EventLog, Tx
from services.events.settings import Settings
from services.events.store import LogStore
from services.events.stream import Feed

SERVICE = "events"

_LANES: Final = 16
"""Facts of as many entities that may share a transaction."""


@dataclass(frozen=True, slots=True)
class Parts:
    app: web.Application
    background: dict[str, Callable[[], Awaitable[None]]]


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        await join(settings.bus, SERVICE) as bus,
    ):
        feed = Feed()
        log = EventLog(Database(pool, bind, committed=feed.announce))
        verifier = Verifier(SERVICE, settings.identity.public_keys_file)
        letters = DeadLetters(pool)
        subscriptions = {
            f"{spec.durable} on {spec.stream}": Subscription(
                bus, spec, LogConsumer(log, consumer=spec.durable), letters, concurrency=_LANES
            ).run
            for spec in consumers_of(SERVICE)
        }
        yield Parts(
            app=build_app(
                EventsApi(log, feed).routes(),
                service=SERVICE,
                authenticate=service_authenticator(verifier),
                ready=partial(readiness, pool, bus),
            ),
            background={
                **subscriptions,
                "bus-watch": bus.watch,
                "partitions": partial(keep_partitions, pool),
                "backlog": partial(watch_backlog, pool),
                "anchor": partial(anchor_heads, log, every=settings.anchor_every),
            },
        )


def bind(connection: Connection) -> Tx:
    return Tx(log=LogStore(connection), inbox=Inbox(connection))


async def readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
