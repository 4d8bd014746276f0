"""The API's door: who asks is vouched for, bodies pass, refusals come back at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiohttp import web

from libs.chassis.blobs import NoSpaceError
from libs.chassis.http import Route, accept_body, principal, stream_response
from libs.chassis.problems import json_response
from services.gateway.errors import BootstrapTokenError
from tests.support.edge import OURS, TOKEN, Gateway, Surroundings

MODELS = "/api/v1/models"


async def whoami(request: web.Request) -> web.Response:
    asks = principal(request)
    return json_response(
        {
            "actor": asks.actor,
            "issuer": asks.issuer,
            "org": asks.org,
            "headers": dict(request.headers),
        }
    )


async def refuse(_: web.Request) -> web.Response:
    raise NoSpaceError(2**40, 1)


async def take(request: web.Request) -> web.Response:
    await accept_body(request)
    return json_response({"size": len(await request.read())})


ROUTES = [
    Route("GET", MODELS, whoami, "model.read"),
    Route("PUT", f"{MODELS}/full", refuse, "model.push", defers_body=True),
    Route("PUT", f"{MODELS}/empty", take, "model.push", defers_body=True),
]


@pytest.fixture
async def gateway(around: Surroundings) -> AsyncIterator[Gateway]:
    around.services["registry"] = ROUTES
    async with around.gateway() as gateway:
        yield gateway


async def test_a_service_hears_who_asks_and_never_the_token(gateway: Gateway) -> None:
    for given in (OURS, {"Authorization": f"Bearer {TOKEN}"}):
        async with gateway.session.get(f"{gateway.api}{MODELS}", headers=given) as answer:
            told = await answer.json()
        assert answer.status == 200
        assert told["issuer"] == "gateway"
        assert told["actor"].startswith("user:")
        assert told["org"] == "default"
        assert TOKEN not in str(told)


async def test_nobody_passes_without_a_token_or_for_another_organisation(gateway: Gateway) -> None:
    async def status(**headers: str) -> int:
        async with gateway.session.get(f"{gateway.api}{MODELS}", headers=headers) as answer:
            return answer.status

    assert await status() == 401
    assert await status(Authorization="Bearer nonsense") == 401
    assert await status(**OURS, **{"X-Yatai-Organization": "default"}) == 200
    assert await status(**OURS, **{"X-Yatai-Organization": "another"}) == 403


async def test_an_absent_service_is_named_and_an_unknown_path_is_404(gateway: Gateway) -> None:
    async with gateway.session.get(f"{gateway.api}/api/builds", headers=OURS) as answer:
        assert answer.status == 503
        assert (await answer.json(content_type=None))["service"] == "builder"
    async with gateway.session.get(f"{gateway.api}/api/nothing", headers=OURS) as answer:
        assert answer.status == 404


async def raw_put(gateway: Gateway, path: str, *, body: bytes, expects: bool) -> tuple[bytes, bool]:
    """Status line of the final answer, and whether the body was invited before it."""
    parts = urlsplit(gateway.api)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    expect = "Expect: 100-continue\r\n" if expects else ""
    writer.write(
        f"PUT {path} HTTP/1.1\r\nHost: test\r\nX-YATAI-API-TOKEN: {TOKEN}\r\n"
        f"Content-Length: {len(body) or 2**40}\r\n{expect}\r\n".encode()
    )
    if not expects:
        writer.write(body or b"the beginning of very much")
    try:
        async with asyncio.timeout(5):
            line = await reader.readline()
            invited = line.startswith(b"HTTP/1.1 100")
            if invited:
                await reader.readline()
                writer.write(body)
                line = await reader.readline()
            return line, invited
    finally:
        writer.close()


@pytest.mark.parametrize("expects", [True, False])
async def test_a_refusal_comes_before_the_body(gateway: Gateway, expects: bool) -> None:  # noqa: FBT001  # parametrised
    line, invited = await raw_put(gateway, f"{MODELS}/full", body=b"", expects=expects)

    assert line.startswith(b"HTTP/1.1 507")
    assert not invited


async def test_a_body_is_invited_by_the_service_that_wants_it(gateway: Gateway) -> None:
    line, invited = await raw_put(gateway, f"{MODELS}/empty", body=b"x" * 100, expects=True)

    assert line.startswith(b"HTTP/1.1 200")
    assert invited


async def test_the_first_start_makes_an_administrator_once(around: Surroundings) -> None:
    for _ in range(2):
        async with around.gateway():
            pass
    connection = await asyncpg.connect(around.database_url)
    try:
        for table in ("org", "person", "token", "namespace"):
            assert len(await connection.fetch(f"TABLE {table}")) == 1, table
        stored = str(await connection.fetchrow("SELECT * FROM token"))
        said = [row["type"] for row in await connection.fetch("SELECT type FROM outbox")]
    finally:
        await connection.close()
    assert TOKEN not in stored, "only its hash is stored"
    assert len(said) == len(set(said)) == 3


async def test_a_token_that_others_can_read_is_refused(around: Surroundings) -> None:
    around.token_file(mode=0o644)

    with pytest.raises(BootstrapTokenError, match="chmod 600"):
        async with around.gateway():
            pass


async def test_events_pass_as_they_come_and_resume(around: Surroundings) -> None:
    heard, go_on = list[str](), asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        heard.append(request.headers.get("Last-Event-ID", ""))

        async def frames() -> AsyncGenerator[bytes, None]:
            yield b"id: 7\nevent: log\ndata: {}\n\n"
            await go_on.wait()
            yield b"event: end\ndata: {}\n\n"

        return await stream_response(
            request, frames(), headers={"Content-Type": "text/event-stream"}
        )

    path = "/api/builds/1/events"
    around.services["builder"] = [Route("GET", path, events, "build.read", stream=True)]
    async with (
        asyncio.timeout(10),
        around.gateway() as gateway,
        gateway.session.get(
            f"{gateway.api}{path}", headers={**OURS, "Last-Event-ID": "6"}
        ) as answer,
    ):
        assert await answer.content.readline() == b"id: 7\n"
        go_on.set()
        assert (await answer.content.read()).endswith(b"event: end\ndata: {}\n\n")
    assert heard == ["6"]
