"""The HTTP skeleton over real sockets: the line of each request, its cause, probes, routes."""

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from libs.chassis import http
from libs.chassis.http import PUBLIC, Readiness, Route
from tests.support.menu import ROUTES, why
from tests.support.serving import CALLER, ORG, served, stall

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


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
