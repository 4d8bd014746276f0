"""An application behind the chassis' own listener on a free port, for one test."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

from aiohttp import web

from libs.chassis import lifecycle
from libs.chassis.auth import Authenticate
from libs.chassis.http import Readiness, Ready, Route, build_app
from libs.chassis.listener import Listener, Server
from libs.contracts.identity import Principal

ORG = UUID("0192e4a0-0000-7000-8000-000000000001")
CALLER = Principal(actor="service:gateway", issuer="gateway", org_id=ORG, org="default")


async def as_gateway(_: web.Request) -> Principal:
    return CALLER


async def always_ready() -> Readiness:
    return Readiness()


def stall(
    routes: Iterable[Route],
    *,
    authenticate: Authenticate = as_gateway,
    ready: Ready = always_ready,
    public_edge: bool = False,
) -> web.Application:
    """A service called ``stall``, which serves whatever the test puts on its counter."""
    return build_app(
        routes,
        service="stall",
        authenticate=authenticate,
        ready=ready,
        public_edge=public_edge,
    )


@asynccontextmanager
async def served(app: web.Application, *, handler_cancellation: bool = False) -> AsyncIterator[str]:
    """Yields the base URL."""
    socket = lifecycle.listen("127.0.0.1", 0)
    server = Server(Listener(app, socket, handler_cancellation=handler_cancellation))
    try:
        await server.start()
        yield f"http://{server.address}"
    finally:
        await server.close()
