"""The composition root: which object knows which."""

import asyncio
import stat
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import socket
from typing import Final

import aiohttp
import structlog
from aiohttp import web

from libs.chassis.auth import Signer
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, BusLostError, BusUnavailableError, Subscription, join
from libs.chassis.client import Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.lifecycle import Wake, inherited, listen
from libs.chassis.listener import Listener
from libs.chassis.outbox import Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Database, Pool, create_pool
from libs.chassis.signedurls import UrlVerifier
from libs.contracts.bus import consumers_of
from services.gateway.consumers import RouteConsumer
from services.gateway.controller import Corrector, Follower, tidy
from services.gateway.dataplane import DataPlane
from services.gateway.errors import BootstrapTokenError
from services.gateway.http.admission import Admission
from services.gateway.http.api import ForwardApi, Sockets
from services.gateway.http.edge import build_endpoints
from services.gateway.http.endpoints import Endpoints, Limits
from services.gateway.http.identity import IdentityApi
from services.gateway.http.images import ImagesApi
from services.gateway.http.signed import SignedUrls
from services.gateway.service.bootstrap import Bootstrap
from services.gateway.service.images import ImageTokens
from services.gateway.service.routes import Routes
from services.gateway.service.tokens import Tokens
from services.gateway.service.tx import SERVICE, Tx
from services.gateway.settings import Settings
from services.gateway.upstream import Replicas, WebSocketLimits

_BUS_AGAIN: Final = timedelta(seconds=1)
_READ_BUFFER: Final = 2**20
_OTHERS: Final = 0o077
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    listeners: tuple[Listener, ...]
    """API, endpoints, and what is for those who watch, if there is such a thing."""
    background: dict[str, Callable[[], Awaitable[None]]]
    on_stop: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Core:
    """What both edges and all loops share. ``bus`` is None while there is none."""

    pool: Pool
    database: Database[Tx]
    committed: Wake
    tokens: Tokens
    routes: Routes
    replicas: Replicas
    bus: Bus | None = None
    plane: DataPlane = field(default_factory=DataPlane)
    changed: Wake = field(default_factory=Wake)
    doubt: Wake = field(default_factory=Wake)


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        open_session() as calls,
        _open_peers() as forwards,
        _open_peers() as lasting,
    ):
        core = _core(settings, pool)
        await _bootstrap(settings, core.database)
        signer = Signer(SERVICE, settings.identity.key_file)
        follower = Follower(
            core.routes, core.plane, core.replicas, name=settings.replica, changed=core.changed
        )
        url = settings.peers.get("deployer", "")
        deployer = Peer(calls, service=SERVICE, peer="deployer", base_url=url, signer=signer)
        corrector = Corrector(core.routes, deployer, doubt=core.doubt, on_change=core.changed.set)
        sockets = Sockets(lasting, _websockets(settings))
        api = _api(core, ForwardApi(forwards, signer, settings.peers, sockets=sockets), settings)
        try:
            yield Parts(
                listeners=(
                    *_listeners(settings, api, build_endpoints(_endpoints(settings, core))),
                    *_watched(settings, core),
                ),
                background={
                    "bus": partial(_on_the_bus, settings, core),
                    "follow": follower.run,
                    "correct": corrector.run,
                    "partitions": partial(keep_partitions, pool),
                    "tidy": partial(tidy, core.routes),
                    "backlog": partial(watch_backlog, pool),
                },
                on_stop=follower.leave,
            )
        finally:
            await core.replicas.close()


def _core(settings: Settings, pool: Pool) -> _Core:
    committed = Wake()
    database = Database(pool, partial(Tx.bind, epoch=settings.epoch), committed=committed.set)
    return _Core(
        pool=pool,
        database=database,
        committed=committed,
        tokens=Tokens(database, known_for=settings.known_tokens_for),
        routes=Routes(database),
        replicas=Replicas(),
    )


def _api(core: _Core, forwards: ForwardApi, settings: Settings) -> web.Application:
    identity, keys = IdentityApi(core.tokens), settings.identity
    tokens = ImageTokens(keys.key_file, keys.public_keys_file)
    images = ImagesApi(identity, tokens, public_url=settings.public_url)
    urls = UrlVerifier(keys.public_keys_file, issuers={"registry"})
    signed = SignedUrls(urls, otherwise=images.authenticate)
    return build_app(
        [*identity.routes(), *images.routes(), *forwards.routes()],
        service=SERVICE,
        authenticate=signed.authenticate,
        forms=images.forms,
        ready=partial(_readiness, core),
        public_edge=True,
    )


def _websockets(settings: Settings) -> WebSocketLimits:
    return WebSocketLimits(
        max_message=settings.websocket_message_bytes,
        ping_every=timedelta(seconds=settings.websocket_ping_seconds),
    )


def _endpoints(settings: Settings, core: _Core) -> Endpoints:
    silence = timedelta(seconds=settings.endpoint_silence_seconds)
    limits = Limits(silence, _websockets(settings))
    return Endpoints(
        core.plane, core.replicas, Admission(core.tokens), limits=limits, on_lost=core.doubt.set
    )


def _listeners(
    settings: Settings, api: web.Application, endpoints: web.Application
) -> tuple[Listener, Listener]:
    host = settings.http.host
    api_socket = _socket(settings.api_fd, host, settings.http.port)
    endpoints_socket = _socket(settings.endpoints_fd, host, settings.endpoints_port)
    return _proxy(api, api_socket), _proxy(endpoints, endpoints_socket)


def _watched(settings: Settings, core: _Core) -> Iterator[Listener]:
    if settings.internal is None:
        return
    app = build_app(
        [],
        service=SERVICE,
        authenticate=IdentityApi(core.tokens).authenticate,
        ready=partial(_readiness, core),
    )
    yield Listener(app, listen(settings.internal.host, settings.internal.port))


def _socket(descriptor: int | None, host: str, port: int) -> socket:
    return inherited(descriptor) if descriptor is not None else listen(host, port)


def _proxy(app: web.Application, listening: socket) -> Listener:
    return Listener(app, listening, handler_cancellation=True, auto_decompress=False)


@asynccontextmanager
async def _open_peers() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to our own services, on which whole models travel."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER,
    ) as session:
        yield session


async def _bootstrap(settings: Settings, database: Database[Tx]) -> None:
    file = settings.bootstrap_token_file
    if file is None:
        return
    token = await asyncio.to_thread(_private, file)
    await Bootstrap(database).ensure(token, source=str(file))


def _private(file: Path) -> str:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & _OTHERS:
            raise BootstrapTokenError(str(file), f"mode {mode:o} lets others read it; chmod 600")
        return file.read_text().strip()
    except OSError as error:
        raise BootstrapTokenError(str(file), str(error)) from error


async def _on_the_bus(settings: Settings, core: _Core) -> None:
    """Follow and say facts while there is a bus; without one, the endpoints go on."""
    while True:
        try:
            async with await join(settings.bus, SERVICE) as bus:
                core.bus = bus
                await _work(core, bus)
        except* (BusLostError, BusUnavailableError) as lost:
            _log.warning("bus.lost", reason=str(lost.exceptions[0]))
        core.bus = None
        await asyncio.sleep(_BUS_AGAIN.total_seconds())


async def _work(core: _Core, bus: Bus) -> None:
    letters = DeadLetters(core.pool)
    relay = Relay(core.pool, bus, service=SERVICE, wake=core.committed)
    async with TaskGroup() as group:
        for spec in consumers_of(SERVICE):
            consumer = RouteConsumer(core.routes, consumer=spec.durable, on_change=core.changed.set)
            group.create_task(Subscription(bus, spec, consumer, letters).run(), name=spec.durable)
        group.create_task(relay.run(), name="relay")
        group.create_task(bus.watch(), name="bus-watch")


async def _readiness(core: _Core) -> Readiness:
    """Ready when a query and a message get through."""
    if core.bus is None:
        return Readiness({"bus": "not connected"})
    await core.pool.fetchval("SELECT 1")
    await core.bus.round_trip()
    return Readiness()
