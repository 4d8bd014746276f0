"""The connection against a real server that dies, hangs and comes back."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from nats.aio.client import Client
from typing_extensions import override

from libs.chassis.bus import Bus, BusLostError, BusUnavailableError, connect
from tests.support.facts import SOURCE
from tests.support.loops import eventually
from tests.support.nats import URL, NatsServer

SOON = timedelta(milliseconds=100)


class Raising(Bus):
    """A bus whose every callback has a bug."""

    raised = 0

    @override
    async def _on_error(self, error: Exception) -> None:
        Raising.raised += 1
        raise RuntimeError from error

    @override
    async def _on_disconnected(self) -> None:
        Raising.raised += 1
        raise RuntimeError

    @override
    async def _on_reconnected(self) -> None:
        Raising.raised += 1
        raise RuntimeError


@asynccontextmanager
async def raising(server: NatsServer) -> AsyncIterator[Bus]:
    async with Raising(Client(), SOURCE) as bus:
        await bus.open(server.url(SOURCE), ping_interval=timedelta(seconds=1))
        Raising.raised = 0
        yield bus


@pytest.mark.skipif(URL in os.environ, reason="a given server forbids nothing")
async def test_an_error_callback_that_raises_does_not_end_the_read_loop(
    nats_server: NatsServer,
) -> None:
    async with raising(nats_server) as bus:
        await bus.say("evt.not.mine", b"")
        await eventually(lambda: Raising.raised > 0)

        await bus.round_trip()


async def test_disconnect_callbacks_that_raise_do_not_end_reconnecting(
    nats_server: NatsServer,
) -> None:
    async with raising(nats_server) as bus:
        nats_server.kill()
        await eventually(lambda: not bus.connected)
        nats_server.start()
        await eventually(lambda: bus.connected)

        await bus.round_trip()

    assert Raising.raised >= 2


async def test_the_client_outlasts_an_outage_of_many_attempts(nats_server: NatsServer) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        nats_server.stop()
        await asyncio.sleep(2)
        nats_server.start()

        await eventually(lambda: bus.connected)
        await bus.round_trip()


async def test_a_hanging_server_is_noticed_by_its_silence(nats_server: NatsServer) -> None:
    ping = timedelta(milliseconds=200)
    async with await connect(nats_server.url(SOURCE), SOURCE, ping_interval=ping) as bus:
        nats_server.pause()

        await eventually(lambda: not bus.connected, within=timedelta(seconds=3))


async def test_a_process_without_round_trips_gives_up(nats_server: NatsServer) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        nats_server.pause()

        with pytest.raises(BusLostError):
            async with asyncio.timeout(5):
                await bus.watch(every=SOON, patience=timedelta(seconds=0.5))


async def test_a_connection_that_is_closed_for_good_is_reported_at_once(
    nats_server: NatsServer,
) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        watching = asyncio.create_task(bus.watch())
        await asyncio.sleep(0.1)

        await bus.close()

        with pytest.raises(BusLostError):
            async with asyncio.timeout(2):
                await watching


async def test_a_short_outage_is_no_reason_to_give_up(nats_server: NatsServer) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        watching = asyncio.create_task(bus.watch(every=SOON, patience=timedelta(seconds=10)))
        nats_server.kill()
        await asyncio.sleep(0.5)
        nats_server.start()
        await eventually(lambda: bus.connected)
        await asyncio.sleep(0.3)

        assert not watching.done()
        watching.cancel()


async def test_a_server_that_starts_later_is_awaited(nats_server: NatsServer) -> None:
    nats_server.stop()
    connecting = asyncio.create_task(connect(nats_server.url(SOURCE), SOURCE))
    await asyncio.sleep(0.5)
    nats_server.start()

    async with asyncio.timeout(10), await connecting as bus:
        await bus.round_trip()


async def test_a_server_that_never_starts_is_reported_in_time(nats_server: NatsServer) -> None:
    nats_server.stop()

    with pytest.raises(BusUnavailableError):
        async with asyncio.timeout(5):
            await connect(nats_server.url(SOURCE), SOURCE, start_wait=timedelta(seconds=1))


async def test_closing_is_quick_whatever_the_server_does(nats_server: NatsServer) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        nats_server.pause()

        async with asyncio.timeout(4):
            await bus.close()


async def test_a_cancellation_that_meets_an_answer_is_not_lost(nats_server: NatsServer) -> None:
    async with await connect(nats_server.url(SOURCE), SOURCE) as bus:
        survived, stop = 0, asyncio.Event()
        for delay in range(200):
            asking = asyncio.create_task(_ask(bus, stop))
            await asyncio.sleep(delay / 100_000)
            asking.cancel()
            await asyncio.wait([asking], timeout=0.5)
            if not asking.done():
                survived += 1
                stop.set()
                await asyncio.wait([asking])
                stop.clear()

    assert survived == 0


async def _ask(bus: Bus, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await bus.round_trip()
