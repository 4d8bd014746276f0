"""The composition root: which object knows which."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import aiohttp
import structlog
from aiohttp import web

from libs.chassis import cgroups
from libs.chassis.auth import Authenticate, Signer, Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Handler, Subscription, join
from libs.chassis.client import Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.isolation import NAMESPACE, Isolation, NotPossibleError, choose, tell
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Database, Pool, acquired, create_pool
from libs.chassis.settings import SettingsError
from libs.contracts.bus import consumers_of
from services.deployer.consumers import ImagesConsumer, RoutesConsumer
from services.deployer.controller import Controller
from services.deployer.http import Asked, routes
from services.deployer.service import SERVICE, Deployments, Reading, Rollouts, Secrets, Trust, Tx
from services.deployer.settings import Settings
from services.deployer.store import load_key, organisations
from services.deployer.targets import (
    Enforcement,
    Folders,
    LocalTarget,
    Policy,
    Ports,
    Probes,
    enforcement,
    open_probes,
)
from services.deployer.upstream import Builder, Registry

log = structlog.get_logger(__name__)

LEASE_TTL: Final = timedelta(seconds=3)
"""A killed leader is followed within this time; nothing else waits for it."""

_SEVERAL: Final = (
    "several organisations deploy here, and their models are not isolated: {why}. `yokocho doctor` "
    "looks whether they can be; only with one organisation the deployer starts without"
)

Loop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    app: web.Application
    background: Mapping[str, Loop]


@dataclass(frozen=True, slots=True)
class _Open:
    """What has to be closed again."""

    pool: Pool
    bus: Bus
    session: aiohttp.ClientSession
    probes: Probes
    isolation: Isolation
    enforcement: Enforcement


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Parts]:
    """Everything open for as long as the context is entered."""
    dsn = settings.postgres.dsn.get_secret_value()
    isolation = await asyncio.to_thread(_isolation, settings)
    limits = await asyncio.to_thread(_enforcement, settings)
    async with (
        create_pool(dsn, max_size=settings.postgres.pool_max, application_name=SERVICE) as pool,
        await join(settings.bus, SERVICE) as bus,
        open_session() as session,
        open_probes() as probes,
    ):
        async with acquired(pool) as connection:
            key = await load_key(connection)
            several = await organisations(connection) > 1
        if several and not isolation.isolates:
            raise SettingsError(_SEVERAL.format(why=isolation.why))
        yield _parts(settings, _Open(pool, bus, session, probes, isolation, limits), key=key)


def _parts(settings: Settings, opened: _Open, *, key: bytes) -> Parts:
    pool, bus, relay, wakes = opened.pool, opened.bus, Wake(), _Wakes()
    peers = _peers(settings, opened.session)
    database = Database(pool, partial(Tx.bind, epoch=settings.epoch), committed=relay.set)
    isolated, kind = opened.isolation.isolates, settings.image_kind
    rollouts = Rollouts(database, woken=wakes, kind=kind)
    target = _target(settings, opened, wakes)
    registry = Registry(peers["registry"])
    secrets = Secrets(database, settings.sealer)
    wakes.controller = controller = _controller(
        settings, rollouts, target, secrets=secrets, peers=peers
    )
    deployments = Deployments(
        database, registry, key=key, woken=wakes, isolated=isolated, kind=kind
    )
    lease = Lease(pool, "controller", f"{socket.gethostname()}:{os.getpid()}", ttl=LEASE_TTL)
    asked = Asked(deployments, Reading(database), secrets)
    return Parts(
        app=build_app(
            routes(asked, target, public_url=settings.public_url),
            service=SERVICE,
            authenticate=_authenticator(settings),
            ready=partial(_readiness, pool, bus),
        ),
        background={
            **_subscriptions(bus, rollouts, DeadLetters(pool)),
            "relay": Relay(pool, bus, service=SERVICE, wake=relay).run,
            "partitions": partial(keep_partitions, pool),
            "backlog": partial(watch_backlog, pool),
            "bus-watch": bus.watch,
            "processes": target.run,
            "process-logs": target.rotate_logs,
            "controller": partial(controller.lead, lease),
        },
    )


def _controller(
    settings: Settings,
    rollouts: Rollouts,
    target: LocalTarget,
    *,
    secrets: Secrets,
    peers: Mapping[str, Peer],
) -> Controller:
    builder, signed = Builder(peers["builder"]), settings.require_signatures
    return Controller(
        rollouts,
        target,
        secrets=secrets,
        keeper=builder,
        shelf=Registry(peers["registry"]),
        drain=settings.drain,
        trust=Trust(builder, patience=settings.start) if signed else None,
    )


def _peers(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Peer]:
    signer = Signer(SERVICE, settings.identity.key_file)
    return {
        name: Peer(session, service=SERVICE, peer=name, base_url=url, signer=signer)
        for name, url in settings.peers.items()
    }


def _authenticator(settings: Settings) -> Authenticate:
    return service_authenticator(Verifier(SERVICE, settings.identity.public_keys_file))


def _isolation(settings: Settings) -> Isolation:
    """What is asked for, as far as it works here; said in the log and for ``status``."""
    try:
        own_root = settings.image_kind == "oci"
        wanted = NAMESPACE if own_root else settings.isolation
        isolation = choose(wanted, settings.private, any_root=own_root)
    except NotPossibleError as error:
        raise SettingsError(str(error)) from None
    if isolation.isolates:
        log.info("isolation.chosen", mode=isolation.mode, by=isolation.by)
    else:
        log.warning("isolation.none", why=isolation.why)
    tell(isolation, settings.root)
    return isolation


def _enforcement(settings: Settings) -> Enforcement:
    """What `resources` mean here; said in the log and for ``status``."""
    found = enforcement(settings.marker)
    cgroups.tell(found.refusals, settings.root)
    return found


def _target(settings: Settings, opened: _Open, wakes: "_Wakes") -> LocalTarget:
    return LocalTarget(
        Folders(settings.root.resolve()),
        marker=settings.marker,
        ports=Ports(settings.first_port, settings.last_port, start=os.getpid() * 61),
        probes=opened.probes,
        policy=Policy(start=settings.start, grace=settings.stop, probe=settings.probe),
        woken=wakes,
        isolation=opened.isolation,
        enforcement=opened.enforcement,
    )


class _Wakes:
    """Passes calls on to the controller, which is made after those that call it."""

    controller: Controller | None = None

    def __call__(self, deployment_id: UUID) -> None:
        if self.controller is not None:
            self.controller.wake(deployment_id)


def _subscriptions(bus: Bus, rollouts: Rollouts, letters: DeadLetters) -> dict[str, Loop]:
    consumers: dict[str, Callable[..., Handler]] = {
        "images": ImagesConsumer,
        "routes": RoutesConsumer,
    }
    return {
        spec.durable: Subscription(
            bus, spec, consumers[spec.purpose](rollouts, consumer=spec.durable), letters
        ).run
        for spec in consumers_of(SERVICE)
    }


async def _readiness(pool: Pool, bus: Bus) -> Readiness:
    """Ready when a query and a message get through."""
    await pool.fetchval("SELECT 1")
    await bus.round_trip()
    return Readiness()
