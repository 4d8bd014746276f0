"""WebSockets reach services as calls do: vouched for, bounded, and ended at both ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.websocket import opened
from services.gateway.settings import Settings
from tests.support.edge import OURS, TOKEN, Gateway, Surroundings

CLUSTER = "/ws/v1/clusters/default"
TAIL = f"{CLUSTER}/tail"
BOUND = Settings.model_fields["websocket_message_bytes"].default


@dataclass
class Echo:
    """A service that says who it is and who asks, and then everything again."""

    name: str
    closed: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        asks = principal(request)
        async with opened(request) as socket:
            told = {"service": self.name, "actor": asks.actor, "all": dict(request.headers)}
            await socket.send_json({**told, "path": request.path_qs})
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                if message.data == "enough":
                    await socket.close(code=4001, message=b"it is enough")
                elif message.data == "break":
                    raise RuntimeError("broken")
                else:
                    await socket.send_str(f"{message.data} again")
            self.closed.put_nowait(message.data)
        return socket


@pytest.fixture
def echoes(around: Surroundings) -> dict[str, Echo]:
    made = {name: Echo(name) for name in ("builder", "deployer")}
    for name, echo in made.items():
        around.services[name] = [
            Route("GET", path, echo.serve, "log.read", stream=True)
            for path in (TAIL, f"{CLUSTER}/pods", "/ws/v2/deployments/{name}/pods")
        ]
    return made


@pytest.fixture
async def gateway(around: Surroundings, echoes: dict[str, Echo]) -> AsyncIterator[Gateway]:
    assert echoes
    async with around.gateway() as gateway:
        yield gateway


async def test_the_service_hears_who_asks_and_never_the_token(gateway: Gateway) -> None:
    for given in (OURS, {"Authorization": f"Bearer {TOKEN}"}):
        async with gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=given) as socket:
            told = await socket.receive_json()
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello again"
        assert told["actor"].startswith("user:")
        assert TOKEN not in str(told)


@pytest.mark.parametrize(
    ("path", "service"),
    [
        (f"{CLUSTER}/pods?namespace=n&selector=a%3Db", "builder"),
        ("/ws/v2/deployments/team.fox/pods?cluster=default", "deployer"),
        (f"{TAIL}?pod_name=build.01&timestamps=false", "builder"),
        (f"{TAIL}?pod_name=replica.01.02", "deployer"),
    ],
)
async def test_whoever_named_the_pod_is_asked(gateway: Gateway, path: str, service: str) -> None:
    async with gateway.session.ws_connect(f"{gateway.api}{path}", headers=OURS) as socket:
        told = await socket.receive_json()

    assert (told["service"], told["path"]) == (service, path)


async def test_who_may_not_ask_is_refused_before_anything_is_opened(gateway: Gateway) -> None:
    async def status(**headers: str) -> int:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=headers)
        return refused.value.status

    assert await status() == 401
    assert await status(Authorization="Bearer nonsense") == 401
    assert await status(Cookie=f"yokocho={TOKEN}") == 401
    assert await status(**OURS, **{"X-Yatai-Organization": "another"}) == 403
    async with gateway.session.get(f"{gateway.api}{TAIL}", headers=OURS) as answer:
        assert answer.status == 400, "a call is no WebSocket"


async def test_each_end_hears_how_the_other_closed(
    gateway: Gateway, echoes: dict[str, Echo]
) -> None:
    async with (
        asyncio.timeout(10),
        gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=OURS) as socket,
    ):
        await socket.receive()
        await socket.send_str("enough")
        said = await socket.receive()
        assert (said.type, said.data, said.extra) == (
            aiohttp.WSMsgType.CLOSE,
            4001,
            "it is enough",
        )
    assert await echoes["deployer"].closed.get() is None, "it closed itself"
    async with (
        asyncio.timeout(10),
        gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=OURS) as socket,
    ):
        await socket.close(code=4002)
        assert await echoes["deployer"].closed.get() == 4002


async def test_a_handler_that_breaks_closes_with_an_error(gateway: Gateway) -> None:
    async with (
        asyncio.timeout(10),
        gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=OURS) as socket,
    ):
        await socket.receive()
        await socket.send_str("break")
        assert (await socket.receive()).data == aiohttp.WSCloseCode.INTERNAL_ERROR


async def test_a_message_has_a_bound(gateway: Gateway, echoes: dict[str, Echo]) -> None:
    async with (
        asyncio.timeout(20),
        gateway.session.ws_connect(f"{gateway.api}{TAIL}", headers=OURS) as socket,
    ):
        await socket.receive()
        with suppress(ConnectionError):  # it is not even read to its end
            await socket.send_str("x" * (BOUND + 1))
        assert await echoes["deployer"].closed.get() in {1001, 1009}, "of going, or of its size"
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass


async def test_a_gateway_that_stops_says_goodbye_at_both_ends(
    around: Surroundings, echoes: dict[str, Echo]
) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        async with around.gateway() as gateway:
            socket = await session.ws_connect(f"{gateway.api}{TAIL}", headers=OURS)
            await socket.receive()
            goodbye = asyncio.create_task(socket.receive())
        assert (await goodbye).data == aiohttp.WSCloseCode.GOING_AWAY
        assert await echoes["deployer"].closed.get() == aiohttp.WSCloseCode.GOING_AWAY
