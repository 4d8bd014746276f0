"""The composition root: which object knows which."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import structlog
from aiohttp import web

from libs.chassis.auth import Signer, Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Subscription, join
from libs.chassis.client import OrgRef, Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.isolation import Isolation, NotPossibleError, choose, tell
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Database, Pool, create_pool
from libs.chassis.settings import SettingsError
from libs.contracts.bus import consumers_of
from services.builder.consumers import RequestsConsumer
from services.builder.containers import (
    Buildah,
    BuildahUnavailableError,
    Limits,
    NamespaceUnavailableError,
)
from services.builder.controller import Worker
from services.builder.domain import Order, Strategy
from services.builder.environments import Confinement, Folders, Uv
from services.builder.http import routes
from services.builder.oci import CalledAccess, Registries, Remote, canonical_registry
from services.builder.plan import Naming, name_of
from services.builder.service import (
    SERVICE,
    Assembling,
    Bases,
    Builds,
    Containers,
    ContainerStrategy,
    Destination,
    Dockerfiles,
    Environments,
    Finished,
    Images,
    Layering,
    Looking,
    Making,
    Prebuilt,
    Resolving,
    Tx,
    Unpacking,
    Workshop,
)
from services.builder.settings import Settings
from services.builder.upstream import Registry

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
    relay, wake = Wake(), Wake()
    database = Database(pool, partial(Tx.bind, epoch=settings.epoch), committed=relay.set)
    folders = Folders(settings.root.resolve())
    registry = _registry(settings, session)
    shop = workshop(database, folders, registry=registry, tools=tools, wake=wake)
    worker = Worker(shop.builds, shop.making, lanes=settings.lanes, wake=wake)
    verifier = Verifier(SERVICE, settings.identity.public_keys_file)
    letters = DeadLetters(pool)
    return Parts(
        app=build_app(
            routes(shop, folders, largest_base=settings.largest_base_image),
            service=SERVICE,
            authenticate=service_authenticator(verifier),
            ready=partial(_readiness, pool, bus),
        ),
        background={
            **{
                spec.durable: Subscription(
                    bus, spec, RequestsConsumer(shop.builds, consumer=spec.durable), letters
                ).run
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


@dataclass(frozen=True, slots=True)
class Tools:
    """What builds are made with. ``home`` is the platform's own registry, for an organisation."""

    uv: Uv
    home: Callable[[OrgRef], Remote]
    registries: Registries
    naming: Naming = field(default_factory=Naming)
    buildah: Buildah | None = None
    limits: Limits = field(default_factory=partial(Limits, seconds=3600))


def _tools(
    settings: Settings,
    session: aiohttp.ClientSession,
    *,
    buildah: Buildah | None,
    isolation: Isolation,
) -> Tools:
    caches = Folders(settings.root.resolve()).caches
    return Tools(
        uv=Uv(Confinement(caches, isolation), index_url=settings.index_url),
        home=partial(_home, settings, session),
        registries=Registries(session, settings.registries.known()),
        naming=Naming(settings.image_name, settings.image_registry),
        buildah=buildah,
        limits=settings.commands.limits(),
    )


def workshop(
    database: Database[Tx], folders: Folders, *, registry: Registry, tools: Tools, wake: Wake
) -> Workshop:
    """The use cases, on what they are given."""
    builds, resolving = Builds(database, woken=wake.set), Resolving(database, tools.uv)
    looking = Looking(folders.scratch())
    bases = Bases(database, tools.home, registries=tools.registries, looking=looking)
    containers = Containers(
        builds,
        resolving,
        finished=Finished(database),
        destination=_Destinations(tools),
        strategies=_strategies(database, folders, resolving, bases=bases, tools=tools),
        unpacking=Unpacking(builds, folders),
    )
    environments = Environments(builds, resolving, folders=folders, uv=tools.uv)
    making = Making(
        {"environment": environments, "oci": containers}, registry=registry, folders=folders
    )
    return Workshop(builds, Images(database, folders), bases, making, registry)


def _strategies(
    database: Database[Tx], folders: Folders, resolving: Resolving, *, bases: Bases, tools: Tools
) -> Mapping[Strategy, ContainerStrategy]:
    layering = Layering(bases, tools.uv)
    found: dict[Strategy, ContainerStrategy] = {
        Strategy.ASSEMBLE: Assembling(database, resolving, bases=bases, layering=layering),
        Strategy.PREBUILT: Prebuilt(tools.registries, tools.home),
    }
    if tools.buildah is not None:
        found[Strategy.BUILDAH] = Dockerfiles(
            bases, tools.buildah, layouts=folders.bases(), limits=tools.limits
        )
    return found


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


@dataclass(frozen=True, slots=True)
class _Destinations:
    tools: Tools

    def __call__(self, order: Order) -> Destination:
        naming, org = self.tools.naming, OrgRef(order.org_id, order.org)
        name, tag = name_of(
            naming.template, repository=order.repository, version=order.version, org=order.org
        )
        if naming.registry is None:
            return Destination(self.tools.home(org), name, tag, order.org_id)
        host, _, prefix = naming.registry.partition("/")
        registry = canonical_registry(host)
        path = f"{prefix.strip('/')}/{name}".lstrip("/")
        remote = self.tools.registries.remote(registry)
        return Destination(remote, path, tag, order.org_id, registry)


async def _readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
