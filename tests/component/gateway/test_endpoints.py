"""Endpoints: what streams, streams; what cannot be sent to one process goes to another."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.support.edge import Gateway, Surroundings, model, models

MIB = 2**20


def closed_port() -> str:
    """Nobody listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def problem_of(gateway: Gateway, name: str) -> tuple[int, str]:
    async with gateway.session.get(gateway.at(name)) as answer:
        told = await answer.json(content_type=None)
        assert answer.headers["Content-Type"] == "application/problem+json"
        return answer.status, told["type"].rpartition("/")[2]


async def test_each_state_has_a_problem_of_its_own(around: Surroundings) -> None:
    around.deployer.put("young", state="starting")
    around.deployer.put("broken", state="failed", reason="it ended")
    around.deployer.put("ended", state="terminated")
    around.deployer.put("dead", closed_port())
    async with around.gateway() as gateway:
        assert await problem_of(gateway, "nobody") == (404, "endpoint-unknown")
        assert await problem_of(gateway, "young") == (503, "endpoint-starting")
        assert await problem_of(gateway, "broken") == (503, "endpoint-failed")
        assert await problem_of(gateway, "ended") == (404, "endpoint-terminated")
        assert await problem_of(gateway, "dead") == (502, "endpoint-unreachable")


async def test_a_platform_without_deployments_knows_that(around: Surroundings) -> None:
    async with around.gateway() as gateway:
        assert await problem_of(gateway, "nobody") == (404, "endpoint-unknown")


async def test_pieces_arrive_when_they_are_sent(around: Surroundings) -> None:
    go_on = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        await go_on.wait()
        await answer.write(b"data: 2\n\n")
        return answer

    async with models(model([web.get("/stream", stream)])) as [url]:
        around.deployer.put("sse", url)
        async with (
            around.gateway() as gateway,
            gateway.session.get(gateway.at("sse", "/stream")) as answer,
            asyncio.timeout(5),
        ):
            assert await answer.content.readline() == b"data: 1\n"
            go_on.set()
            assert (await answer.content.read()).endswith(b"data: 2\n\n")


async def test_a_body_passes_in_constant_memory_and_while_it_is_sent(around: Surroundings) -> None:
    begun = asyncio.Event()
    sizes = []

    async def take(request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            begun.set()
            size += len(chunk)
        sizes.append(size)
        return web.Response()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        async with asyncio.timeout(5):
            await begun.wait()  # the model has the first byte before the second is sent
        piece = bytes(MIB)
        for _ in range(256):
            yield piece

    async with models(model([web.post("/take", take)])) as [url]:
        around.deployer.put("sink", url)
        async with around.gateway() as gateway:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            async with gateway.session.post(gateway.at("sink", "/take"), data=body()) as answer:
                assert answer.status == 200
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert sizes == [256 * MIB + 1]
    assert grown < 64 * 1024, f"{grown} KiB more"


async def test_web_sockets_speak_both_ways(around: Surroundings) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse(protocols=("chat",))
        await channel.prepare(request)
        async for message in channel:
            if message.type is WSMsgType.TEXT:
                await channel.send_str(message.data)
            else:
                await channel.send_bytes(message.data)
                await channel.close(code=4001, message=b"enough")
        return channel

    async with models(model([web.get("/chat", echo)])) as [url]:
        around.deployer.put("chat", url)
        async with (
            around.gateway() as gateway,
            gateway.session.ws_connect(gateway.at("chat", "/chat"), protocols=("chat",)) as channel,
            asyncio.timeout(5),
        ):
            assert channel.protocol == "chat"
            await channel.send_str("やあ")
            assert await channel.receive_str() == "やあ"
            await channel.send_bytes(bytes(range(256)))
            assert await channel.receive_bytes() == bytes(range(256))
            assert (await channel.receive()).type is WSMsgType.CLOSE
            assert channel.close_code == 4001


async def test_another_process_is_tried_when_one_does_not_accept(around: Surroundings) -> None:
    async def twice(request: web.Request) -> web.Response:
        return web.json_response({"twice": 2 * await request.json()})

    async with models(model([web.post("/twice", twice)])) as [url]:
        around.deployer.put("two", closed_port(), url)
        async with around.gateway() as gateway:
            for number in range(50):
                async with gateway.session.post(gateway.at("two", "/twice"), json=number) as answer:
                    assert await answer.json() == {"twice": 2 * number}


async def test_what_a_process_may_have_done_is_not_asked_of_another(around: Surroundings) -> None:
    taken = []

    async def die(request: web.Request) -> web.Response:
        taken.append(await request.read())
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app, other = (model([web.post("/die", die), web.get("/die", die)]) for _ in range(2))
    async with models(app, other) as urls:
        around.deployer.put("fragile", *urls)
        async with around.gateway() as gateway:
            async with gateway.session.post(gateway.at("fragile", "/die"), data=b"1") as answer:
                assert answer.status == 502
                assert "endpoint-interrupted" in await answer.text()
            assert taken == [b"1"]
            async with gateway.session.get(gateway.at("fragile", "/die")) as answer:
                assert answer.status == 502
            assert len(taken) > 2, "a GET may be asked again"


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(around: Surroundings) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with models(model([web.get("/half", half)])) as [url]:
        around.deployer.put("half", url)
        async with around.gateway() as gateway:
            with pytest.raises(aiohttp.ClientPayloadError):
                async with gateway.session.get(gateway.at("half", "/half")) as answer:
                    await answer.read()


async def test_a_models_page_works_below_its_prefix(around: Surroundings) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} below {request.headers['X-Forwarded-Prefix']}")

    async with models(model([web.get("/{path:.*}", page)])) as [url]:
        around.deployer.put("page", url)
        async with around.gateway() as gateway:
            async with gateway.session.get(
                f"{gateway.endpoints}/default/page?x=1", allow_redirects=False
            ) as answer:
                assert answer.status == 308
                assert answer.headers["Location"] == "/default/page/?x=1"
            async with gateway.session.get(gateway.at("page", "/docs.json")) as answer:
                assert await answer.text() == "/docs.json below /default/page"
