"""The endpoints' application: one log line per request, problems, and one handler for all paths."""

import asyncio
from typing import Final
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry.trace import INVALID_SPAN
from pydantic_core import from_json, to_json

from libs.chassis.access import PREPARED, Line
from libs.chassis.errors import ServiceError
from libs.chassis.http import STOPPING, STREAMS
from libs.chassis.problems import REQUEST_ID, problem, problem_middleware
from services.gateway.errors import (
    EndpointInterruptedError,
    EndpointTimeoutError,
    EndpointUnreachableError,
    TargetAmbiguousError,
)
from services.gateway.http.endpoints import Endpoints

ACTION: Final = "endpoint.call"
_STATUS: Final[dict[type[ServiceError], int]] = {
    TargetAmbiguousError: 400,
    EndpointUnreachableError: 502,
    EndpointInterruptedError: 502,
    EndpointTimeoutError: 504,
}
"""What HTTP has a more exact word for than the kind of an error."""


def build_endpoints(endpoints: Endpoints) -> web.Application:
    """No probes, no metrics and no path of ours: all of this origin belongs to the models."""
    app = web.Application(middlewares=[_edge, problem_middleware, _exact])
    app[STOPPING] = asyncio.Event()
    app[STREAMS] = set()
    app.router.add_route("*", "/{path:.*}", endpoints.serve, expect_handler=_expected)
    app.on_response_prepare.append(_finish_headers)
    return app


@web.middleware
async def _edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No span: a model's trace continues the caller's; nobody pays for ours per prediction."""
    request_id = uuid4().hex
    request[REQUEST_ID] = request_id
    line = Line(request, action=ACTION, stream=False)
    with (
        structlog.contextvars.bound_contextvars(request_id=request_id),
        line.written(INVALID_SPAN),
    ):
        line.response = await handler(request)
        return line.response


@web.middleware
async def _exact(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(_STATUS) as error:
        status = _STATUS[type(error)]
        answer = problem(error, instance=request.path, request_id=request[REQUEST_ID])
        answer.body = to_json(from_json(answer.text or "{}") | {"status": status})
        answer.set_status(status)
        return answer


async def _expected(_: web.Request) -> None:
    """``100 Continue`` is sent when an upstream wants the body, not before anybody looked."""


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[PREPARED] = response
    response.headers.setdefault("Server", "yokocho")
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    if request.app[STOPPING].is_set():
        response.force_close()
