"""The composition root: which object knows which."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from aiohttp import web

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.blobs import FileBlobs
from libs.chassis.bus import Bus, Subscription, join
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, Ready, Route, build_app
from libs.chassis.inbox import Inbox
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Outbox, Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Connection, Database, Pool, create_pool
from libs.chassis.staging import Staging
from libs.contracts.bus import consumers_of
from services.registry.consumers import ImageConsumer
from services.registry.controller import describe_missing, fail_abandoned, forget_uploads
from services.registry.http import (
    REFUSALS,
    alias_routes,
    lineage_routes,
    oci_routes,
    routes,
    search_routes,
)
from services.registry.service import (
    Aliases,
    Lineage,
    OciBlobs,
    OciManifests,
    Registry,
    Search,
    Tx,
    Uploads,
)
from services.registry.settings import Settings
from services.registry.store import AliasStore, FactStore, ManifestStore, OciStore, RegistryStore

SERVICE = "registry"


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
        wake = Wake()
        database = Database(pool, partial(bind, epoch=settings.epoch), committed=wake.set)
        registry = Registry(database)
        silence = timedelta(seconds=settings.uploads.silence_seconds)
        uploads = Uploads(database, silence=silence)
        blobs = FileBlobs(settings.blobs.root)
        blobs.sweep()
        await uploads.fail_all()
        search = Search(database)
        images = OciBlobs(database, blobs, Staging(settings.blobs.root))
        yield Parts(
            app=_app(
                settings,
                [
                    *routes(registry, uploads, blobs),
                    *search_routes(search),
                    *lineage_routes(registry, Lineage(database)),
                    *alias_routes(registry, Aliases(database)),
                    *oci_routes(images, OciManifests(database), blobs, silence=silence),
                ],
                ready=partial(readiness, pool, bus),
            ),
            background={
                **_subscriptions(pool, bus, registry),
                "relay": Relay(pool, bus, service=SERVICE, wake=wake).run,
                "partitions": partial(keep_partitions, pool),
                "backlog": partial(watch_backlog, pool),
                "bus-watch": bus.watch,
                "descriptions": partial(describe_missing, search),
                "abandoned-uploads": partial(fail_abandoned, uploads),
                "abandoned-images": partial(forget_uploads, images),
            },
        )


def _app(settings: Settings, served: Sequence[Route], *, ready: Ready) -> web.Application:
    return build_app(
        served,
        service=SERVICE,
        forms=REFUSALS,
        authenticate=service_authenticator(Verifier(SERVICE, settings.identity.public_keys_file)),
        ready=ready,
        client_max_size=16 * 2**20,
    )


def bind(connection: Connection, *, epoch: int = 1) -> Tx:
    return Tx(
        store=RegistryStore(connection),
        facts=FactStore(connection),
        aliases=AliasStore(connection),
        oci=OciStore(connection),
        manifests=ManifestStore(connection),
        outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        inbox=Inbox(connection),
    )


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
