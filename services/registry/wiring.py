"""The composition root: which object knows which."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from aiohttp import web

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.blobs import BlobStore
from libs.chassis.blobs.opening import open_blobs
from libs.chassis.bus import Bus, Subscription, join
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, Route, build_app
from libs.chassis.inbox import Inbox
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Outbox, Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Connection, Database, Pool, create_pool
from libs.contracts.bus import consumers_of
from services.registry.consumers import ImageConsumer
from services.registry.controller import Scrubber, describe_missing, fail_abandoned
from services.registry.http import alias_routes, lineage_routes, routes, search_routes
from services.registry.service import (
    Aliases,
    Integrity,
    Lineage,
    Registry,
    Search,
    Tx,
    Uploads,
)
from services.registry.settings import ScrubSettings, Settings
from services.registry.store import AliasStore, BlobRows, FactStore, RegistryStore

SERVICE = "registry"


@dataclass(frozen=True, slots=True)
class Parts:
    app: web.Application
    background: dict[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class UseCases:
    registry: Registry
    uploads: Uploads
    integrity: Integrity
    search: Search
    lineage: Lineage
    aliases: Aliases


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        await join(settings.bus, SERVICE) as bus,
        open_blobs(settings.blobs) as store,
    ):
        wake = Wake()
        database = Database(pool, partial(bind, epoch=settings.epoch), committed=wake.set)
        silence = timedelta(seconds=settings.uploads.silence_seconds)
        cases = use_cases(database, store, silence=silence)
        if settings.blobs.root is not None:
            await cases.uploads.fail_all()
        yield Parts(
            app=build_app(
                api(cases, store),
                service=SERVICE,
                authenticate=service_authenticator(
                    Verifier(SERVICE, settings.identity.public_keys_file)
                ),
                ready=partial(readiness, pool, bus),
                client_max_size=16 * 2**20,
            ),
            background={
                **_subscriptions(pool, bus, cases.registry),
                "relay": Relay(pool, bus, service=SERVICE, wake=wake).run,
                "partitions": partial(keep_partitions, pool),
                "backlog": partial(watch_backlog, pool),
                "bus-watch": bus.watch,
                "descriptions": partial(describe_missing, cases.search),
                "abandoned-uploads": partial(fail_abandoned, cases.uploads),
                "scrubber": partial(
                    _scrubber(cases.integrity, settings.scrub).lead, _lease(pool, "scrubber")
                ),
            },
        )


def use_cases(database: Database[Tx], store: BlobStore, *, silence: timedelta) -> UseCases:
    return UseCases(
        registry=Registry(database),
        uploads=Uploads(database, store, silence=silence),
        integrity=Integrity(database, store),
        search=Search(database),
        lineage=Lineage(database),
        aliases=Aliases(database),
    )


def api(cases: UseCases, store: BlobStore) -> list[Route]:
    """Everything the registry answers."""
    return [
        *routes(cases.registry, cases.uploads, store, integrity=cases.integrity),
        *search_routes(cases.search),
        *lineage_routes(cases.registry, cases.lineage),
        *alias_routes(cases.registry, cases.aliases),
    ]


def bind(connection: Connection, *, epoch: int = 1) -> Tx:
    return Tx(
        store=RegistryStore(connection),
        facts=FactStore(connection),
        aliases=AliasStore(connection),
        blobs=BlobRows(connection),
        outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        inbox=Inbox(connection),
    )


def _scrubber(integrity: Integrity, settings: ScrubSettings) -> Scrubber:
    return Scrubber(
        integrity,
        period=timedelta(days=settings.days),
        bytes_per_second=settings.bytes_per_second,
    )


def _lease(pool: Pool, name: str) -> Lease:
    return Lease(pool, name, f"{socket.gethostname()}:{os.getpid()}")


def _subscriptions(
    pool: Pool, bus: Bus, registry: Registry
) -> dict[str, Callable[[], Awaitable[None]]]:
    letters = DeadLetters(pool)
    return {
        spec.durable: Subscription(
            bus, spec, ImageConsumer(registry, consumer=spec.durable), letters
        ).run
        for spec in consumers_of(SERVICE)
    }


async def readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
