"""A small service with a bus of its own: what most of these tests stand on."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.chassis.bus import Bus, connect
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import relay
from libs.chassis.postgres import Database, Pool
from tests.support.facts import SOURCE, Tx, bind
from tests.support.nats import NatsServer


@pytest.fixture
async def builder(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """The service that publishes."""
    async with await connect(nats_server.url(SOURCE), SOURCE) as opened:
        await opened.ensure_stream(SOURCE)
        yield opened


@pytest.fixture
async def deployer(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A service that listens."""
    async with await connect(nats_server.url("deployer"), "deployer") as opened:
        yield opened


@pytest.fixture
def wake() -> Wake:
    return Wake()


@pytest.fixture
def database(pool: Pool, wake: Wake) -> Database[Tx]:
    return Database(pool, bind, committed=wake.set)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relays that look, and try again, sooner than in life."""
    monkeypatch.setattr(relay, "LOOK", timedelta(seconds=0.5))
    monkeypatch.setattr(relay, "_RETRY", timedelta(seconds=0.05))
