"""What is refused, and how it is said: problems for bodies, callers, paths and bugs."""

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from libs.chassis.auth import UnauthenticatedError
from libs.contracts.identity import Principal
from tests.support.menu import ROUTES, problem_of
from tests.support.serving import served, stall


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


async def test_a_body_over_the_applications_limit_is_a_problem(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.post(f"{url}/whole", data=io.BytesIO(b"x" * (4 * 2**20 + 1))) as response:
        found = await problem_of(response)

    assert response.status == 413
    assert found["type"] == "about:blank"


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
