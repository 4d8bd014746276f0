"""What a service's user can do on the bus, and what it cannot."""

import asyncio
import os
from datetime import timedelta

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.chassis.bus import Bus, BusRefusedError, BusUnavailableError, connect
from libs.contracts.bus import (
    CONSUMERS,
    PUBLISHED,
    ConsumerSpec,
    consumers_of,
    inbox_prefix,
    stream_of,
)
from tests.support.facts import STREAM, admin, consumer, message
from tests.support.nats import URL, NatsServer

QUICK = timedelta(milliseconds=300)


pytestmark = [
    pytest.mark.usefixtures("builder"),
    pytest.mark.skipif(URL in os.environ, reason="a given server knows no user per service"),
]


async def test_a_service_cannot_say_what_another_says(
    nats_server: NatsServer, deployer: Bus
) -> None:
    sent = message()

    with pytest.raises(BusUnavailableError):
        await deployer.request(sent.subject, sent.body, timeout=QUICK)

    async with admin(nats_server) as operator:
        assert (await operator.state(STREAM)).last_seq == 0


@pytest.mark.parametrize(
    "verb",
    [
        f"STREAM.DELETE.{STREAM}",
        f"STREAM.PURGE.{STREAM}",
        f"STREAM.MSG.DELETE.{STREAM}",
        f"CONSUMER.DELETE.{STREAM}.deployer-images-v1",
        "STREAM.NAMES",
        "STREAM.CREATE.ANOTHER",
        f"STREAM.SNAPSHOT.{STREAM}",
    ],
)
async def test_not_even_the_owner_can_destroy_or_look_around(builder: Bus, verb: str) -> None:
    with pytest.raises(BusUnavailableError):
        await builder.api(verb, {}, timeout=QUICK)


async def test_a_stream_cannot_be_emptied_by_anyone(nats_server: NatsServer, builder: Bus) -> None:
    await builder.publish_batch([message()], stream=STREAM)

    async with admin(nats_server) as operator:
        for verb, body in (("PURGE", {}), ("MSG.DELETE", {"seq": 1})):
            with pytest.raises(BusRefusedError):
                await operator.api(f"STREAM.{verb}.{STREAM}", body)
        assert (await operator.state(STREAM)).last_seq == 1


@pytest.mark.parametrize("own", consumers_of("deployer"), ids=lambda spec: spec.durable)
async def test_a_service_makes_its_own_consumers(
    nats_server: NatsServer, deployer: Bus, own: ConsumerSpec
) -> None:
    async with admin(nats_server) as operator:
        await operator.ensure_stream(own.source)
    at = f"{own.stream}.{own.durable}"
    config = {"name": own.durable, "durable_name": own.durable, "ack_policy": "explicit"}

    await deployer.api(f"CONSUMER.CREATE.{at}", {"stream_name": own.stream, "config": config})

    assert (await deployer.api(f"CONSUMER.INFO.{at}"))["name"] == own.durable


async def test_a_service_cannot_use_the_consumer_of_another(
    nats_server: NatsServer, deployer: Bus
) -> None:
    other = consumer("registry")
    at = f"{other.stream}.{other.durable}"
    config = {"name": other.durable, "durable_name": other.durable, "ack_policy": "explicit"}
    body = {"stream_name": other.stream, "config": config}
    async with admin(nats_server) as operator:
        await operator.api(f"CONSUMER.CREATE.{at}", body)
        sent = message()
        await operator.publish_batch([sent], stream=STREAM)

        for verb, asked in (("CREATE", body), ("INFO", {}), ("MSG.NEXT", {"batch": 1})):
            with pytest.raises(BusUnavailableError):
                await deployer.api(f"CONSUMER.{verb}.{at}", asked, timeout=QUICK)

        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        inbox, leave = await operator.listen(arrived.put)
        await operator.say(f"$JS.API.CONSUMER.MSG.NEXT.{at}", b"", reply=f"{inbox}.1")
        taken = await arrived.get()
        await leave()
        with pytest.raises(BusUnavailableError):
            await deployer.request(taken.reply, b"+ACK", timeout=QUICK)
        info = await operator.api(f"CONSUMER.INFO.{at}")
        assert (info["num_ack_pending"], info["num_redelivered"]) == (1, 0)


async def test_a_service_cannot_read_answers_meant_for_another(
    nats_server: NatsServer, deployer: Bus
) -> None:
    heard: list[Msg] = []

    async def overhear(msg: Msg) -> None:
        heard.append(msg)

    client = Client()
    await client.connect(nats_server.url("registry"), error_cb=_quiet)
    try:
        for subject in (f"{inbox_prefix('deployer')}.>", "evt.>", "$JS.>", ">"):
            await client.subscribe(subject, cb=overhear)
        await deployer.round_trip()
        await asyncio.sleep(0.1)
    finally:
        await client.close()

    assert heard == []


async def _quiet(error: Exception) -> None:
    del error


async def test_nobody_enters_without_a_password(nats_server: NatsServer) -> None:
    for login in ("", "builder:wrong@", "nobody:x@"):
        with pytest.raises(BusUnavailableError):
            await connect(
                f"nats://{login}127.0.0.1:{nats_server.port}",
                "builder",
                start_wait=timedelta(milliseconds=300),
            )


async def test_every_service_may_do_what_its_contracts_say(nats_server: NatsServer) -> None:
    for service, said in PUBLISHED.items():
        async with await connect(nats_server.url(service), service) as bus:
            await bus.round_trip()
            if said:
                await bus.ensure_stream(service)
                await bus.state(stream_of(service))
    assert {spec.source for spec in CONSUMERS} <= {name for name, said in PUBLISHED.items() if said}
