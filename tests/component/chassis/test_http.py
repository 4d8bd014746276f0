"""The HTTP skeleton over real sockets: refusals, probes, the line of each request."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel, Field
from structlog.testing import capture_logs
from yarl import URL

from libs.chassis import context, http, listener, telemetry
from libs.chassis.auth import UnauthenticatedError
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import PUBLIC, Readiness, Route, stream_response
from libs.chassis.problems import json_response, read_body
from libs.chassis.settings import TelemetrySettings
from libs.contracts.identity import Principal
from tests.support.serving import CALLER, ORG, served, stall

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Order(BaseModel, extra="forbid"):
    dish: str
    portions: int = Field(ge=1)


class SoldOutError(ServiceError):
    kind: ClassVar[Kind] = Kind.EXHAUSTED
    code: ClassVar[str] = "sold-out"
    title: ClassVar[str] = "Nothing is left"


async def order(request: web.Request) -> web.Response:
    return json_response(await read_body(request, Order, limit=100), status=201)


async def sold_out(_: web.Request) -> web.Response:
    raise SoldOutError("no noodles", retry_after=timedelta(seconds=1.2), dish="noodles")


async def burn(_: web.Request) -> web.Response:
    raise RuntimeError("the secret recipe")


async def half(request: web.Request) -> web.StreamResponse:
    async def bowl() -> AsyncIterator[bytes]:
        yield b"first half, "
        raise RuntimeError("the secret recipe")

    return await stream_response(request, bowl())


async def why(_: web.Request) -> web.Response:
    cause = context.current()
    return json_response(
        {"actor": cause.actor, "org": str(cause.org_id), "trace": cause.traceparent or ""}
    )


async def elsewhere(_: web.Request) -> web.Response:
    raise web.HTTPFound("/why")


ROUTES = (
    Route("POST", "/orders/{table}", order, action="order.create"),
    Route("GET", "/sold-out", sold_out, action="order.read"),
    Route("GET", "/burn", burn, action="order.read"),
    Route("GET", "/half", half, action="order.read"),
    Route("GET", "/why", why, action="order.read"),
    Route("GET", "/elsewhere", elsewhere, action="order.read"),
    Route("GET", "/kitchen", why, action="order.read", issuers=frozenset({"builder"})),
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def url() -> AsyncIterator[str]:
    telemetry.set_up("stall", TelemetrySettings())
    async with served(stall(ROUTES)) as base:
        yield base


async def problem_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(await response.read())
    assert body["status"] == response.status
    assert body["message"] == body["error"] == body["detail"]
    return body


async def test_one_line_tells_of_a_request_and_nothing_of_its_content(
    session: aiohttp.ClientSession, url: str
) -> None:
    with capture_logs() as lines:
        async with session.post(
            f"{url}/orders/7?token=secret",
            json={"dish": "secret", "portions": 2},
            headers={"X-Request-Id": "r-1", "Cookie": "secret"},
        ) as response:
            body = await response.read()

    assert response.status == 201
    assert response.headers["X-Request-Id"] == "r-1"
    [line] = lines
    seconds = line.pop("seconds")
    assert 0 < seconds < 5
    assert line == {
        "event": "http.request",
        "log_level": "info",
        "method": "POST",
        "path": "/orders/7",
        "route": "/orders/{table}",
        "status": 201,
        "bytes": len(body),
        "action": "order.create",
        "actor": "service:gateway",
        "org_id": str(ORG),
    }
    assert "secret" not in str(lines)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b'{"dish": "udon", ', 400, "body-malformed", id="malformed"),
        pytest.param(b"", 400, "body-malformed", id="empty"),
        pytest.param(b"\xff\xfe{}", 400, "body-malformed", id="not-utf8"),
        pytest.param(b'"udon"', 422, "body-invalid", id="no-object"),
        pytest.param(b'{"dish": "udon"}', 422, "body-invalid", id="field-missing"),
        pytest.param(b'{"dish": "' + b"u" * 100 + b'"}', 413, "body-too-large", id="too-large"),
        pytest.param(b"[" * 90, 400, "body-malformed", id="deep"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_wrong_body_is_refused(
    session: aiohttp.ClientSession, url: str, *, body: bytes, status: int, code: str, chunked: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    data = pieces() if chunked else body
    async with session.post(f"{url}/orders/7", data=data) as response:
        found = await problem_of(response)

    assert response.status == status
    assert found["type"] == f"/problems/{code}"


async def test_every_wrong_field_is_pointed_at(session: aiohttp.ClientSession, url: str) -> None:
    wrong = {"dish": "udon", "portions": 0, "a/b~c": 1}
    async with session.post(f"{url}/orders/7", json=wrong) as response:
        found = await problem_of(response)

    assert {each["pointer"] for each in found["errors"]} == {"/portions", "/a~1b~0c"}
    assert "/portions" in found["detail"]


async def test_a_refusal_is_a_problem_with_its_facts(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.get(f"{url}/sold-out") as response:
        found = await problem_of(response)

    assert response.status == 429
    assert response.headers["Retry-After"] == "2"
    assert found["type"] == "/problems/sold-out"
    assert found["title"] == "Nothing is left"
    assert found["dish"] == "noodles"
    assert found["instance"] == "/sold-out"
    assert found["request_id"] == response.headers["X-Request-Id"]


async def test_the_text_of_an_unknown_error_stays_inside(
    session: aiohttp.ClientSession, url: str
) -> None:
    with capture_logs() as lines:
        async with session.get(f"{url}/burn") as response:
            found = await problem_of(response)

    assert response.status == 500
    assert found["type"] == "about:blank"
    assert "recipe" not in str(found)
    assert [line["event"] for line in lines] == ["http.crashed", "http.request"]
    assert lines[1]["status"] == 500


async def test_an_answer_that_fails_half_way_is_broken_off(
    session: aiohttp.ClientSession, url: str
) -> None:
    with capture_logs() as lines, pytest.raises(aiohttp.ClientPayloadError):
        async with session.get(f"{url}/half") as response:
            await response.read()

    assert lines[-1]["event"] == "http.request"
    assert lines[-1]["broken_off"]
    assert lines[-1]["status"] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nowhere", 404, id="no-such-path"),
        pytest.param("DELETE", "/why", 405, id="no-such-method"),
    ],
)
async def test_what_the_framework_refuses_is_a_problem_too(
    session: aiohttp.ClientSession, url: str, method: str, path: str, status: int
) -> None:
    async with session.request(method, url + path) as response:
        found = await problem_of(response)

    assert response.status == status
    assert found["type"] == "about:blank"
    assert path in found["detail"]
    assert ("Allow" in response.headers) == (status == 405)


async def test_a_raised_redirect_is_an_answer(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/elsewhere", allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"] == "/why"


async def test_a_route_accepts_only_the_issuers_it_names(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.get(f"{url}/kitchen") as response:
        found = await problem_of(response)

    assert response.status == 403
    assert found["action"] == "order.read"


async def test_a_handler_knows_its_cause_and_its_trace(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.get(f"{url}/why", headers={"traceparent": PARENT}) as response:
        found = await response.json()

    assert found["actor"] == CALLER.actor
    assert found["org"] == str(ORG)
    assert found["trace"].split("-")[1] == PARENT.split("-")[1]
    assert found["trace"].split("-")[2] != PARENT.split("-")[2]


@pytest.mark.parametrize("given", ["with space", "é", "x" * 129, ""])
async def test_a_strange_request_id_is_replaced(
    session: aiohttp.ClientSession, url: str, given: str
) -> None:
    async with session.get(f"{url}/why", headers={"X-Request-Id": given}) as response:
        assert len(response.headers["X-Request-Id"]) == 32


async def test_a_public_edge_takes_no_id_from_strangers_and_shows_no_metrics(
    session: aiohttp.ClientSession,
) -> None:
    async with served(stall(ROUTES, public_edge=True)) as url:
        async with session.get(f"{url}/why", headers={"X-Request-Id": "r-1"}) as response:
            assert response.headers["X-Request-Id"] != "r-1"
        async with session.get(f"{url}/metrics") as response:
            assert response.status == 404


async def test_metrics_count_requests_by_route(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/why"):
        pass
    async with session.get(f"{url}/metrics") as response:
        text = await response.text()

    assert 'yokocho_http_requests_total{method="GET",route="/why",status="200"}' in text
    assert 'yokocho_http_request_seconds_count{method="GET",route="/why"}' in text
    assert "process_resident_memory_bytes" in text


async def slow_check() -> Readiness:
    await asyncio.sleep(60)
    return Readiness()


async def broken_check() -> Readiness:
    raise RuntimeError("the secret recipe")


async def failing_check() -> Readiness:
    return Readiness({"postgres": "no answer"})


@pytest.mark.parametrize(
    ("check", "failing"),
    [
        (slow_check, {"readiness": "TimeoutError"}),
        (broken_check, {"readiness": "RuntimeError"}),
        (failing_check, {"postgres": "no answer"}),
    ],
)
async def test_not_ready_says_what_fails(
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    check: http.Ready,
    failing: dict[str, str],
) -> None:
    monkeypatch.setattr(http, "_READY_SECONDS", 0.05)
    async with served(stall(ROUTES, ready=check)) as url:
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 503
            assert (await response.json())["failing"] == failing
        async with session.get(f"{url}/livez") as response:
            assert response.status == 200


async def test_a_stopping_service_is_not_ready(session: aiohttp.ClientSession) -> None:
    app = stall(ROUTES)
    async with served(app) as url:
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 200
        app[http.STOPPING].set()
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 503
            assert response.headers["Connection"] == "close"


def test_a_route_without_an_action_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/free", why)  # type: ignore[call-arg]  # the point of the test


@pytest.mark.parametrize("action", ["", "read", PUBLIC, "Order.Read", "order.read.all"])
def test_an_action_is_a_noun_and_a_verb(action: str) -> None:
    with pytest.raises(ValueError, match="is no action"):
        Route("GET", "/free", why, action=action)


async def test_an_application_with_an_undeclared_route_does_not_start() -> None:
    app = stall(ROUTES)
    app.router.add_get("/free", why)

    with pytest.raises(RuntimeError, match="without an action"):
        async with served(app):
            pass


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


async def test_an_unknown_caller_is_told_how_to_be_known(session: aiohttp.ClientSession) -> None:
    async def refuse(_: web.Request) -> Principal:
        raise UnauthenticatedError("who are you?")

    async with (
        served(stall(ROUTES, authenticate=refuse)) as url,
        session.get(f"{url}/why") as response,
    ):
        found = await problem_of(response)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert found["type"] == "/problems/unauthenticated"
