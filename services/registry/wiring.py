"""The composition root: which object knows which."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from aiohttp import ClientSession, web

from libs.chassis.auth import Signer, Verifier, service_authenticator
from libs.chassis.backlog import watch_backlog
from libs.chassis.blobs import BlobStore
from libs.chassis.blobs.opening import open_blobs
from libs.chassis.bus import Bus, Subscription, join
from libs.chassis.client import Peer, open_session
from libs.chassis.deadletters import DeadLetters
from libs.chassis.http import Readiness, build_app
from libs.chassis.idempotency import once
from libs.chassis.inbox import Inbox
from libs.chassis.lease import Lease
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Outbox, Relay
from libs.chassis.partitions import keep_partitions
from libs.chassis.postgres import Connection, Database, Pool, create_pool
from libs.chassis.signedurls import UrlSigner
from libs.contracts.bus import consumers_of
from services.registry.consumers import ImageConsumer
from services.registry.controller import (
    Collector,
    Scrubber,
    describe_missing,
    fail_abandoned,
    forget_transfers,
    forget_uploads,
    lead,
    verify_sent,
)
from services.registry.domain import Strategy
from services.registry.http import REFUSALS, Urls, routes
from services.registry.service import Patience, Registry, Tx, UseCases, use_cases
from services.registry.settings import Settings
from services.registry.store import (
    AliasStore,
    BlobRows,
    FactStore,
    HoldRows,
    LineageRows,
    ListingRows,
    ManifestStore,
    OciStore,
    RegistryStore,
    RepositoryRows,
    RetentionRows,
    TransferRows,
    TrashRows,
    UnneededRows,
)
from services.registry.upstream import Deployer

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
        open_session() as session,
        open_blobs(settings.blobs) as store,
    ):
        wake = Wake()
        database = Database(pool, partial(bind, epoch=settings.epoch), committed=wake.set)
        sent = Wake()
        cases = cases_of(settings, database, store, woken=sent.set)
        if settings.blobs.root is not None:
            await cases.uploads.fail_all()
        yield Parts(
            app=build_app(
                routes(cases, store, _urls(settings), once=partial(once, database=database)),
                service=SERVICE,
                forms=REFUSALS,
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
                "abandoned-images": partial(forget_uploads, cases.images),
                "verifying": partial(verify_sent, cases.verifying, sent),
                "expired-transfers": partial(forget_transfers, cases.transfers),
                **_led(settings, pool, session, cases=cases),
            },
        )


def _urls(settings: Settings) -> Urls:
    return Urls(UrlSigner(SERVICE, settings.identity.key_file), settings.public_url)


def cases_of(
    settings: Settings,
    database: Database[Tx],
    store: BlobStore,
    *,
    woken: Callable[[], None] = lambda: None,
) -> UseCases:
    collect = settings.collect
    return use_cases(
        database,
        store,
        silence=timedelta(seconds=settings.uploads.silence_seconds),
        undo=timedelta(days=collect.undo_days),
        patience=Patience(
            unneeded=timedelta(hours=collect.unneeded_hours),
            deleting=timedelta(hours=collect.deleting_hours),
            unknown=timedelta(hours=collect.unknown_hours),
        ),
        strategy=Strategy(settings.uploads.strategy),
        woken=woken,
    )


def bind(connection: Connection, *, epoch: int = 1) -> Tx:
    return Tx(
        store=RegistryStore(connection),
        facts=FactStore(connection),
        aliases=AliasStore(connection),
        blobs=BlobRows(connection),
        trash=TrashRows(connection),
        holds=HoldRows(connection),
        unneeded=UnneededRows(connection),
        retention=RetentionRows(connection),
        oci=OciStore(connection),
        manifests=ManifestStore(connection),
        outbox=Outbox(connection, service=SERVICE, epoch=epoch),
        transfers=TransferRows(connection),
        listings=ListingRows(connection),
        lineage=LineageRows(connection),
        repositories=RepositoryRows(connection),
        inbox=Inbox(connection),
    )


def _led(
    settings: Settings, pool: Pool, session: ClientSession, *, cases: UseCases
) -> dict[str, Callable[[], Awaitable[None]]]:
    """Loops of which one replica's run for all."""
    scrubber = Scrubber(
        cases.integrity,
        period=timedelta(days=settings.scrub.days),
        bytes_per_second=settings.scrub.bytes_per_second,
    )
    signer = Signer(SERVICE, settings.identity.key_file)
    url = settings.peers["deployer"]
    peer = Peer(session, service=SERVICE, peer="deployer", base_url=url, signer=signer)
    collector = Collector(
        cases.retentions,
        cases.collection,
        cases.holds,
        revisions=Deployer(peer),
        every=timedelta(minutes=settings.collect.every_minutes),
    )
    holder = f"{socket.gethostname()}:{os.getpid()}"
    return {
        name: partial(lead, loop, Lease(pool, name, holder))
        for name, loop in {"scrubber": scrubber.run, "collector": collector.run}.items()
    }


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
