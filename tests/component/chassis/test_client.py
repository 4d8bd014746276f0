"""One service calling another: identity and trace go along, refusals and failures come back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web

from libs.chassis import telemetry
from libs.chassis.auth import Signer, Verifier, generate_keys, service_authenticator
from libs.chassis.client import OrgRef, Peer, PeerUnavailableError, RemoteError, open_session
from libs.chassis.context import Cause, bound
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import Route, principal, stream_response
from libs.chassis.lifecycle import listen
from libs.chassis.problems import STATUS, json_response
from libs.chassis.settings import TelemetrySettings
from tests.support.serving import ORG, served, stall

ME = OrgRef(ORG, "default")


class SoldOutError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "sold-out"
    title: ClassVar[str] = "Nothing is left"


class Counter:
    """A stall that fails as often as it is told to, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failures = 0
        self.error: ServiceError | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.asked <= self.failures:
            raise RuntimeError
        if self.error is not None:
            raise self.error
        caller = principal(request)
        return json_response(
            {
                "actor": caller.actor,
                "issuer": caller.issuer,
                "org": caller.org,
                "query": dict(request.query),
                "request_id": request.headers.get("X-Request-Id"),
                "traceparent": request.headers.get("traceparent"),
                "body": (await request.read()).decode(),
            }
        )

    async def prose(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="once upon a time")

    async def slow(self, _: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def broken(self, request: web.Request) -> web.StreamResponse:
        async def bowl() -> AsyncGenerator[bytes, None]:
            yield b"first half"
            raise RuntimeError

        return await stream_response(request, bowl())

    def routes(self) -> list[Route]:
        builder = frozenset({"builder"})
        return [
            Route("GET", "/serve", self.serve, action="a.read", issuers=builder),
            Route("POST", "/serve", self.serve, action="a.create", issuers=builder),
            Route("GET", "/prose", self.prose, action="a.read", issuers=builder),
            Route("GET", "/slow", self.slow, action="a.read", issuers=builder),
            Route("GET", "/broken", self.broken, action="a.read", issuers=builder),
        ]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    generate_keys(tmp_path, ["builder", "stall"])
    return tmp_path


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
async def peer(keys: Path, counter: Counter) -> AsyncIterator[Peer]:
    verifier = Verifier("stall", keys / "public.json")
    app = stall(counter.routes(), authenticate=service_authenticator(verifier))
    async with served(app) as url, calling(url, keys) as found:
        yield found


@asynccontextmanager
async def calling(url: str, keys: Path, *, key: str = "builder") -> AsyncIterator[Peer]:
    async with open_session() as session:
        yield Peer(
            session,
            service="builder",
            peer="stall",
            base_url=url,
            signer=Signer(key, keys / f"{key}.pem"),
        )


async def test_a_call_carries_identity_parameters_and_body(peer: Peer) -> None:
    found = await peer.json("POST", "/serve", org=ME, params={"a": "b c"}, body={"n": 1})

    assert found["actor"] == "service:builder"
    assert found["issuer"] == "builder"
    assert found["org"] == "default"
    assert found["query"] == {"a": "b c"}
    assert found["body"] == '{"n":1}'


async def test_a_call_carries_its_cause(peer: Peer) -> None:
    telemetry.set_up("builder", TelemetrySettings())
    stored = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    cause = Cause(actor="service:x", org_id=ORG, correlation_id="r-1", traceparent=stored)

    with bound(cause):
        outside = await peer.json("GET", "/serve", org=ME)
        with telemetry.tracer().start_as_current_span("x"):
            current = telemetry.traceparent()
            inside = await peer.json("GET", "/serve", org=ME)

    assert outside["request_id"] == "r-1"
    assert outside["traceparent"] == stored
    assert inside["traceparent"] == current


@pytest.mark.parametrize("kind", [each for each in Kind if each is not Kind.UNAUTHENTICATED])
async def test_a_refusal_comes_back_as_the_same_refusal(
    peer: Peer, counter: Counter, kind: Kind
) -> None:
    class AnyError(SoldOutError):
        pass

    AnyError.kind = kind
    counter.error = AnyError("no noodles", retry_after=timedelta(seconds=7), dish="noodles")

    with pytest.raises(RemoteError) as caught:
        await peer.json("POST", "/serve", org=ME)

    assert caught.value.kind is kind
    assert caught.value.code == "sold-out"
    assert caught.value.title == "Nothing is left"
    assert caught.value.detail == "no noodles"
    assert caught.value.facts == {"dish": "noodles"}
    assert caught.value.retry_after == timedelta(seconds=7)


async def test_a_path_that_the_peer_does_not_know_is_not_found(peer: Peer) -> None:
    with pytest.raises(RemoteError) as caught:
        await peer.json("GET", "/nowhere", org=ME)

    assert caught.value.kind is Kind.NOT_FOUND
    assert caught.value.code == "not-found"


async def test_a_read_is_tried_again(peer: Peer, counter: Counter) -> None:
    counter.failures = 2

    assert (await peer.json("GET", "/serve", org=ME))["actor"] == "service:builder"
    assert counter.asked == 3


async def test_a_write_is_not_tried_again(peer: Peer, counter: Counter) -> None:
    counter.failures = 2

    with pytest.raises(PeerUnavailableError, match="stall: answered 500"):
        await peer.json("POST", "/serve", org=ME)

    assert counter.asked == 1


async def test_a_refusal_is_not_tried_again(peer: Peer, counter: Counter) -> None:
    counter.error = SoldOutError("no noodles")

    with pytest.raises(RemoteError):
        await peer.json("GET", "/serve", org=ME)

    assert counter.asked == 1


async def test_a_deadline_bounds_all_attempts(peer: Peer) -> None:
    with pytest.raises(PeerUnavailableError, match=r"no answer within 0\.05 s"):
        await peer.json("GET", "/slow", org=ME, timeout=timedelta(milliseconds=50))


async def test_an_answer_that_is_no_json_is_a_failure_of_the_peer(peer: Peer) -> None:
    with pytest.raises(PeerUnavailableError, match="not JSON"):
        await peer.json("GET", "/prose", org=ME)


async def test_an_answer_that_breaks_off_is_a_failure_of_the_peer(peer: Peer) -> None:
    with pytest.raises(PeerUnavailableError):
        async with peer.stream("GET", "/broken", org=ME) as response:
            await response.read()


async def test_an_error_of_the_reader_stays_its_own(peer: Peer) -> None:
    with pytest.raises(KeyError):
        async with peer.stream("GET", "/prose", org=ME):
            raise KeyError


async def test_a_peer_that_is_not_there_is_unavailable(keys: Path) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]

    async with calling(f"http://127.0.0.1:{port}", keys) as peer:
        with pytest.raises(PeerUnavailableError) as caught:
            await peer.json("GET", "/serve", org=ME)

    assert caught.value.kind is Kind.UNAVAILABLE
    assert caught.value.facts == {"peer": "stall"}


async def test_an_identity_that_the_peer_refuses_is_not_blamed_on_our_caller(
    keys: Path, counter: Counter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = tmp_path_factory.mktemp("foreign")
    generate_keys(foreign, ["builder"])
    verifier = Verifier("stall", keys / "public.json")
    app = stall(counter.routes(), authenticate=service_authenticator(verifier))

    async with served(app) as url, calling(url, foreign) as peer:
        with pytest.raises(PeerUnavailableError, match="answered 401"):
            await peer.json("POST", "/serve", org=ME)


async def test_a_call_without_an_identity_is_unauthenticated(keys: Path, counter: Counter) -> None:
    verifier = Verifier("stall", keys / "public.json")
    app = stall(counter.routes(), authenticate=service_authenticator(verifier))
    headers: list[dict[str, Any]] = [
        {},
        {"Authorization": "Basic eA=="},
        {"Authorization": "Bearer"},
    ]

    async with served(app) as url, aiohttp.ClientSession() as session:
        for each in headers:
            async with session.get(f"{url}/serve", headers=each) as response:
                assert response.status == STATUS[Kind.UNAUTHENTICATED]

    assert counter.asked == 0
