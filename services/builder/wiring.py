"""The composition root: which object knows which."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp import web

from libs.chassis.auth import Signer, Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Handler, Subscription, join
from libs.chassis.client import OrgRef, Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Database, Pool, create_pool
from libs.contracts.bus import ConsumerSpec, consumers_of
from services.builder.consumers import BentosConsumer, RequestsConsumer
from services.builder.controller import Limits, Worker
from services.builder.domain import Order, Preferences
from services.builder.environments import Children, Folders, Leavings, Uv, UvCache
from services.builder.http import routes
from services.builder.oci import CalledAccess, Remote
from services.builder.plan import name_of
from services.builder.service import (
    SERVICE,
    Assembling,
    Bases,
    Builds,
    Destination,
    Environments,
    Housekeeping,
    Images,
    Keep,
    Layering,
    Making,
    Pushes,
    Resolving,
    Tx,
    Workshop,
)
from services.builder.settings import Settings
from services.builder.upstream import Registry


@dataclass(frozen=True, slots=True)
class Parts:
    app: web.Application
    background: Mapping[str, Callable[[], Awaitable[None]]]


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        await join(settings.bus, SERVICE) as bus,
        open_session() as session,
    ):
        yield _parts(settings, pool, bus, session=session)


def _parts(settings: Settings, pool: Pool, bus: Bus, *, session: aiohttp.ClientSession) -> Parts:
    relay, wake = Wake(), Wake()
    database = Database(pool, partial(Tx.bind, epoch=settings.epoch), committed=relay.set)
    folders = Folders(settings.root.resolve())
    shop = workshop(
        database,
        folders,
        registry=_registry(settings, session),
        children=Children(settings.marker or f"{settings.root.resolve()}:build"),
        index_url=settings.index_url,
        build_on_push=settings.build_on_push,
        keep=Keep(settings.keep_logs, settings.keep_unused, settings.cache_bytes),
        home=partial(_home, settings, session),
        image_name=settings.image_name,
        wake=wake,
    )
    worker = _worker(settings, shop, wake)
    verifier = Verifier(SERVICE, settings.identity.public_keys_file)
    letters = DeadLetters(pool)
    return Parts(
        app=build_app(
            routes(shop, folders),
            service=SERVICE,
            authenticate=service_authenticator(verifier),
            ready=partial(_readiness, pool, bus),
        ),
        background={
            **{
                spec.durable: Subscription(bus, spec, _consumer(spec, shop), letters).run
                for spec in consumers_of(SERVICE)
            },
            "relay": Relay(pool, bus, service=SERVICE, wake=relay).run,
            "partitions": partial(keep_partitions, pool),
            "backlog": partial(watch_backlog, pool),
            "bus-watch": bus.watch,
            "worker": partial(
                worker.lead, Lease(pool, "worker", f"{socket.gethostname()}:{os.getpid()}")
            ),
        },
    )


def _consumer(spec: ConsumerSpec, shop: Workshop) -> Handler:
    match spec.purpose:
        case "bentos":
            return BentosConsumer(shop.pushes, consumer=spec.durable)
        case _:
            return RequestsConsumer(shop.builds, consumer=spec.durable)


def _worker(settings: Settings, shop: Workshop, wake: Wake) -> Worker:
    limits = Limits(settings.lanes, settings.lanes_per_org, settings.timeout)
    return Worker(
        shop.builds, shop.making, housekeeping=shop.housekeeping, limits=limits, wake=wake
    )


def workshop(
    database: Database[Tx],
    folders: Folders,
    *,
    registry: Registry,
    children: Children,
    index_url: str | None,
    build_on_push: bool,
    keep: Keep,
    home: Callable[[OrgRef], Remote],
    image_name: str,
    wake: Wake,
) -> Workshop:
    """The use cases, on what they are given."""
    builds = Builds(database, woken=wake.set)
    bases = Bases(database, home, work=folders.scratch())
    uv = Uv(children, index_url=index_url)
    resolving = Resolving(database, uv)
    assembling = Assembling(
        database,
        builds,
        resolving=resolving,
        bases=bases,
        layering=Layering(bases, uv),
        destination=partial(_destination, image_name, home),
    )
    environments = Environments(builds, resolving, folders=folders, uv=uv)
    making = Making(
        builds,
        {"environment": environments, "oci": assembling},
        registry=registry,
        folders=folders,
        children=children,
    )
    pushes = Pushes(database, default=Preferences(build_on_push), woken=wake.set)
    images = Images(database, folders)
    housekeeping = Housekeeping(
        database, images, leavings=Leavings(folders.root), cache=UvCache(children), keep=keep
    )
    return Workshop(builds, images, bases, making, registry, pushes, housekeeping)


def _registry(settings: Settings, session: aiohttp.ClientSession) -> Registry:
    peer = Peer(
        session,
        service=SERVICE,
        peer="registry",
        base_url=settings.peers["registry"],
        signer=Signer(SERVICE, settings.identity.key_file),
    )
    return Registry(peer)


def _home(settings: Settings, session: aiohttp.ClientSession, org: OrgRef) -> Remote:
    """The platform's own registry, as one organisation sees it: images are its own."""
    signer = Signer(SERVICE, settings.identity.key_file)

    async def identity(_: str) -> str:
        actor = f"service:{SERVICE}"
        token = signer.token(actor, audience="registry", org_id=org.org_id, org=org.org)
        return f"Bearer {token}"

    return Remote(session, settings.peers["registry"], access=CalledAccess(identity))


def _destination(template: str, home: Callable[[OrgRef], Remote], order: Order) -> Destination:
    name, tag = name_of(
        template,
        repository=order.repository,
        version=order.version,
        org=order.org or str(order.org_id),
    )
    return Destination(home(OrgRef(order.org_id, order.org)), name, tag, order.org_id)


async def _readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
