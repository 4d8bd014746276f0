"""What happens below requests: malformed HTTP, slow clients, clients that go or wait."""

import asyncio
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from libs.chassis import http, listener
from libs.chassis.auth import UnauthenticatedError
from libs.chassis.http import Route
from libs.chassis.problems import json_response
from libs.contracts.identity import Principal
from tests.support.menu import ROUTES, SoldOutError
from tests.support.serving import served, stall


async def raw(url: str, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
    try:
        writer.write(sent)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /se\x00cret HTTP/1.1\r\nHost: x\r\n\r\n", id="nul"),
        pytest.param(b"secret\r\n\r\n", id="no-http"),
        pytest.param(
            b"POST /why HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nsecret",
            id="two-framings",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nsecret: " + b"a" * 9000 + b"\r\n\r\n", id="long-header"),
    ],
)
async def test_malformed_http_is_refused_without_an_echo(url: str, sent: bytes) -> None:
    answer = await raw(url, sent)

    assert answer.split(b" ")[1] == b"400"
    assert b"application/problem+json" in answer
    assert b"secret" not in answer.lower()
    assert b"python" not in answer.lower()
    assert b"aiohttp" not in answer.lower()


async def test_a_head_that_never_ends_is_cut(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEADERS", timedelta(milliseconds=100))

    assert await raw(url, b"GET /why HTTP/1.1\r\nHost:") == b""


async def test_an_ended_head_has_no_deadline_any_more(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def simmer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return json_response({"done": True})

    monkeypatch.setattr(listener, "HEADERS", timedelta(milliseconds=100))
    async with served(stall([Route("GET", "/simmer", simmer, action="order.read")])) as url:
        for _ in range(2):
            async with session.get(f"{url}/simmer") as response:
                assert response.status == 200


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_handler_outlives_its_client_unless_the_listener_says_otherwise(
    *, cancelled: bool
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def simmer(_: web.Request) -> web.Response:
        begun.set()
        await asyncio.sleep(0.1)
        ended.set()
        return json_response({"done": True})

    app = stall([Route("GET", "/simmer", simmer, action="order.read")])
    async with served(app, handler_cancellation=cancelled) as url:
        _, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
        writer.write(b"GET /simmer HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.2)

    assert ended.is_set() is not cancelled


async def dialogue(url: str, head: bytes) -> bytes:
    """What the service says to a head that announces a body, before any of it is sent."""
    reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
    try:
        writer.write(head + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(5):
            return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_is_wanted_only_from_those_who_may_send_it(url: str) -> None:
    async def refuse(_: web.Request) -> Principal:
        raise UnauthenticatedError("who are you?")

    async with served(stall(ROUTES, authenticate=refuse)) as closed:
        refused = await dialogue(closed, b"POST /whole HTTP/1.1\r\nHost: x\r\n")
    wanted = await dialogue(url, b"POST /whole HTTP/1.1\r\nHost: x\r\n")

    assert refused.startswith(b"HTTP/1.1 401 ")
    assert wanted.startswith(b"HTTP/1.1 100 ")


@pytest.mark.parametrize("full", [False, True])
async def test_a_handler_may_refuse_before_the_bytes_come(*, full: bool) -> None:
    async def store(request: web.Request) -> web.Response:
        if full:
            raise SoldOutError("no room")
        await http.accept_body(request)
        await http.accept_body(request)
        return json_response({"size": len(await request.read())})

    route = Route("POST", "/store", store, action="order.create", defers_body=True)
    async with served(stall([route])) as url:
        said = await dialogue(url, b"POST /store HTTP/1.1\r\nHost: x\r\n")

    assert said.startswith(b"HTTP/1.1 429 " if full else b"HTTP/1.1 100 ")
