"""The service's objects, open for as long as it runs."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
import structlog
from aiohttp import web

from libs.chassis.auth import Signer, Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Handler, Subscription, join
from libs.chassis.client import Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.isolation import Isolation, NotPossibleError, choose, tell
from libs.chassis.keys import derived_key
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Database, Pool, create_pool
from libs.chassis.settings import SettingsError
from libs.contracts.bus import ConsumerSpec, consumers_of
from services.builder.consumers import BentosConsumer, RequestsConsumer
from services.builder.containers import (
    Buildah,
    BuildahUnavailableError,
    NamespaceUnavailableError,
)
from services.builder.controller import Lanes, Worker
from services.builder.domain import Preferences
from services.builder.environments import Children, Confinement, Folders, Uv
from services.builder.http import routes
from services.builder.keys import load_signing_key, load_verifying_keys
from services.builder.oci import Registries
from services.builder.plan import Naming
from services.builder.service import SERVICE, Giving, Keep, Live, Tx, Workshop
from services.builder.settings import Settings
from services.builder.supply.pem import VerifyingKey
from services.builder.upstream import Deployer, Registry
from services.builder.wiring.workshop import Peers, Tools, own_registry, workshop

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    app: web.Application
    background: Mapping[str, Callable[[], Awaitable[None]]]


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    isolation = await asyncio.to_thread(_isolation, settings)
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        await join(settings.bus, SERVICE) as bus,
        open_session() as session,
        _buildah(settings) as buildah,
    ):
        tools = _tools(settings, session, buildah=buildah, isolation=isolation)
        yield _parts(settings, pool, bus, session=session, tools=tools)


def _parts(
    settings: Settings,
    pool: Pool,
    bus: Bus,
    *,
    session: aiohttp.ClientSession,
    tools: "Tools",
) -> Parts:
    relay, wake, live = Wake(), Wake(), Live()
    database = _database(settings, pool, relay.set, live.announce)
    folders = Folders(settings.root.resolve())
    peers = _peers(settings, session)
    shop = workshop(database, folders, peers=peers, tools=tools, wake=wake, live=live)
    worker = _worker(settings, shop, wake)
    verifier = Verifier(SERVICE, settings.identity.public_keys_file)
    letters = DeadLetters(pool)
    return Parts(
        app=build_app(
            routes(shop, largest_base=settings.largest_base_image),
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
    lanes = Lanes(settings.lanes, settings.lanes_per_org, settings.timeout)
    return Worker(
        shop.builds,
        shop.making,
        housekeeping=shop.housekeeping,
        attesting=shop.attesting,
        lanes=lanes,
        wake=wake,
    )


def _tools(
    settings: Settings,
    session: aiohttp.ClientSession,
    *,
    buildah: Buildah | None,
    isolation: Isolation,
) -> Tools:
    children = Children(settings.marker or f"{settings.root.resolve()}:build")
    confined = Confinement(children, Folders(settings.root.resolve()).caches, isolation)
    return Tools(
        uv=Uv(children, confined, index_url=settings.index_url),
        children=children,
        home=partial(
            own_registry,
            session,
            url=settings.peers["registry"],
            signer=Signer(SERVICE, settings.identity.key_file),
        ),
        registries=Registries(
            session, settings.registries.known(images_go_to=settings.image_registry)
        ),
        naming=Naming(settings.image_name, settings.image_registry),
        buildah=buildah,
        shares_layers=settings.commands.cache == "registry",
        limits=settings.commands.limits(),
        preferences=Preferences(settings.build_on_push),
        key=load_signing_key(settings.signing_key_file, settings.signing_key_password),
        believed=_believed(settings),
        keep=Keep(settings.keep_logs, settings.keep_unused, settings.cache_bytes),
    )


@asynccontextmanager
async def _buildah(settings: Settings) -> AsyncIterator[Buildah | None]:
    """None where the machine has none, or cannot keep its commands apart: the log says why."""
    commands = settings.commands
    found = Buildah(
        settings.root.resolve() / "buildah",
        isolation=commands.isolation,
        network=commands.network,
        ca_bundle=commands.ca_bundle,
    )
    try:
        await found.start()
    except (BuildahUnavailableError, NamespaceUnavailableError) as error:
        log.warning("buildah.unavailable", why=str(error))
        yield None
        return
    try:
        yield found
    finally:
        await found.close()


def _database(settings: Settings, pool: Pool, *committed: Callable[[], None]) -> Database[Tx]:
    def call() -> None:
        for each in committed:
            each()

    return Database(pool, partial(Tx.bind, epoch=settings.epoch), committed=call)


def _believed(settings: Settings) -> Sequence[VerifyingKey]:
    file = settings.verifying_keys_file
    return load_verifying_keys(file) if file is not None else ()


def _isolation(settings: Settings) -> Isolation:
    """What is asked for, as far as it works here; said in the log and for ``status``."""
    try:
        isolation = choose(settings.isolation, settings.private)
    except NotPossibleError as error:
        raise SettingsError(str(error)) from None
    if not isolation.isolates:
        log.warning("isolation.none", why=isolation.why)
    tell(isolation, settings.root)
    return isolation


def _peer(settings: Settings, session: aiohttp.ClientSession, name: str) -> Peer:
    return Peer(
        session,
        service=SERVICE,
        peer=name,
        base_url=settings.peers[name],
        signer=Signer(SERVICE, settings.identity.key_file),
    )


def _peers(settings: Settings, session: aiohttp.ClientSession) -> Peers:
    """Marks of secrets are made with a key that is not in the database."""
    key = derived_key(settings.identity.key_file, "marks of secrets")
    deployer = Deployer(_peer(settings, session, "deployer"))
    return Peers(Registry(_peer(settings, session, "registry")), Giving(deployer, key))


async def _readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
