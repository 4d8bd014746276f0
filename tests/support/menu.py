"""What the stall of the HTTP tests serves: a route for each way a request can end."""

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, ClassVar

import aiohttp
from aiohttp import web
from pydantic import BaseModel, Field

from libs.chassis import context
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import Route, stream_response
from libs.chassis.problems import json_response, read_body


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
    async def bowl() -> AsyncGenerator[bytes, None]:
        yield b"first half, "
        raise RuntimeError("the secret recipe")

    return await stream_response(request, bowl())


async def why(_: web.Request) -> web.Response:
    cause = context.current()
    return json_response(
        {"actor": cause.actor, "org": str(cause.org_id), "trace": cause.traceparent or ""}
    )


async def whole(request: web.Request) -> web.Response:
    return json_response({"size": len(await request.read())})


async def elsewhere(_: web.Request) -> web.Response:
    raise web.HTTPFound("/why")


ROUTES = (
    Route("POST", "/orders/{table}", order, action="order.create"),
    Route("GET", "/sold-out", sold_out, action="order.read"),
    Route("GET", "/burn", burn, action="order.read"),
    Route("GET", "/half", half, action="order.read"),
    Route("GET", "/why", why, action="order.read"),
    Route("POST", "/whole", whole, action="order.create"),
    Route("GET", "/elsewhere", elsewhere, action="order.read"),
    Route("GET", "/kitchen", why, action="order.read", issuers=frozenset({"builder"})),
)


async def problem_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(await response.read())
    assert body["status"] == response.status
    assert body["message"] == body["error"] == body["detail"]
    return body
