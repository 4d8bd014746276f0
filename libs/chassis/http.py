"""The HTTP skeleton: routes that name their action, one log line per request, probes, metrics."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from libs.chassis import context, metrics, telemetry
from libs.chassis.access import PREPARED, Line
from libs.chassis.auth import PRINCIPAL, Authenticate, ForbiddenError, require
from libs.chassis.openapi import Operation, document
from libs.chassis.problems import FORMS, REQUEST_ID, Form, json_response, problem_middleware
from libs.contracts.identity import Principal

PUBLIC: Final = "public"
"""Action of the probes and ``/metrics``, which anybody may call. No ``Route`` can have it."""
STOPPING: Final = web.AppKey("stopping", asyncio.Event)
"""Set when the process has been told to stop; readiness is false from then on."""
IN_FLIGHT: Final[web.AppKey[set[asyncio.Task[Any]]]] = web.AppKey("in_flight", set)
"""The task of each request."""
STREAMS: Final[web.AppKey[set[asyncio.Task[Any]]]] = web.AppKey("streams", set)
"""Those that have no end of their own: cut when the service stops."""

_ACCEPTED: Final = web.RequestKey("accepted", bool)
_ACTION: Final = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_REQUEST_ID: Final = re.compile(r"[-A-Za-z0-9_.:]{1,128}")
_READY_SECONDS: Final = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, with the action that the caller must be allowed.

    ``issuers`` are the services whose identity is accepted. ``stream`` says that the answer
    has no end of its own (a followed log, server-sent events): it is cut when the service
    stops and is left out of the latency histogram. A client that asks before it sends its body
    (``Expect``) is told to go on once it is authorised; with ``defers_body`` the handler does
    that itself with ``accept_body``, and may refuse before the bytes come. What has an
    ``operation`` is in the service's OpenAPI document.
    """

    method: str
    path: str
    handler: Handler
    action: str
    issuers: frozenset[str] = frozenset({"gateway"})
    stream: bool = False
    defers_body: bool = False
    operation: Operation | None = None

    def __post_init__(self) -> None:
        if not _ACTION.fullmatch(self.action):
            raise ValueError(f"{self.method} {self.path}: '{self.action}' is no action (noun.verb)")


@dataclass(frozen=True, slots=True)
class Readiness:
    """What keeps the service from working, by name; nothing when it is ready."""

    failing: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failing


def described_by(title: str, routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of those of ``routes`` that have an ``operation``."""
    operations = [
        (each.method, each.path, each.operation) for each in routes if each.operation is not None
    ]
    return document(title, routes=operations)


Ready = Callable[[], Awaitable[Readiness]]
_ROUTES: Final[web.AppKey[dict[web.AbstractRoute, Route | None]]] = web.AppKey("routes", dict)
"""Everything the application answers; ``None`` marks what is ``PUBLIC``."""


def build_app(
    routes: Iterable[Route],
    *,
    service: str,
    authenticate: Authenticate,
    ready: Ready,
    client_max_size: int = 4 * 2**20,
    public_edge: bool = False,
    forms: Mapping[str, Form] | None = None,
) -> web.Application:
    """An application that answers ``routes``, the probes and ``/metrics``, and nothing else.

    A ``public_edge`` makes correlation ids of its own and shows strangers no metrics.
    """
    app = web.Application(
        middlewares=[
            _edge(trust_request_id=not public_edge),
            problem_middleware,
            _guard(authenticate),
        ],
        client_max_size=client_max_size,
    )
    app[FORMS] = forms or {}
    app[_ROUTES] = {}
    app[STOPPING] = asyncio.Event()
    app[IN_FLIGHT] = set()
    app[STREAMS] = set()
    _add_probes(app, service, ready)
    if not public_edge:
        app[_ROUTES][app.router.add_route("GET", "/metrics", _numbers)] = None
    for route in routes:
        added = app.router.add_route(
            route.method, route.path, route.handler, expect_handler=_nobody_looked_yet
        )
        app[_ROUTES][added] = route
    app.on_startup.append(_check_declared)
    app.on_response_prepare.append(_finish_headers)
    return app


def principal(request: web.Request) -> Principal:
    """The verified caller. Every handler of a ``Route`` has one."""
    return request[PRINCIPAL]


async def accept_body(request: web.Request) -> None:
    """Tell a client that waits for it that its body is wanted. Once; for others, nothing."""
    if request.get(_ACCEPTED) or request.headers.get("Expect", "").lower() != "100-continue":
        return
    request[_ACCEPTED] = True
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun


async def stream_response(
    request: web.Request,
    chunks: AsyncGenerator[bytes, None],
    *,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
) -> web.StreamResponse:
    """Send ``chunks`` as they come; the client's pace is the pace at which they are taken.

    An exception of ``chunks`` breaks the answer off, so that nobody takes it for whole.
    """
    response = web.StreamResponse(status=status, headers=headers)
    if "Content-Length" not in response.headers:
        response.enable_chunked_encoding()
    await response.prepare(request)
    if request.method != "HEAD":
        async with aclosing(chunks):
            async for chunk in chunks:
                await response.write(chunk)
    await response.write_eof()
    return response


def _edge(*, trust_request_id: bool) -> Middleware:
    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "") if trust_request_id else ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        request[REQUEST_ID] = request_id
        route = request.app[_ROUTES].get(request.match_info.route)
        line = Line(
            request,
            action=route.action if route else None,
            stream=route.stream if route else False,
        )
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            _span(request, line.route) if route else nullcontext(INVALID_SPAN) as span,
            line.written(span),
            _followed(request, stream=line.stream),
        ):
            line.response = await handler(request)
            return line.response

    return edge


def _span(request: web.Request, route: str) -> AbstractContextManager[Span]:
    """Probes have none: they would be most of all traces, and the least of interest."""
    return telemetry.tracer().start_as_current_span(
        f"{request.method} {route}",
        context=telemetry.remote_context(request.headers.get("traceparent")),
        kind=SpanKind.SERVER,
        record_exception=False,
    )


async def _nobody_looked_yet(_: web.Request) -> None:
    """In place of aiohttp's answer to ``Expect``, which comes before any middleware."""


def _guard(authenticate: Authenticate) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            return await handler(request)  # 404 and 405: there is nothing to guard
        route = request.app[_ROUTES][request.match_info.route]
        if route is None:
            return await handler(request)
        caller = await authenticate(request)
        request[PRINCIPAL] = caller
        if caller.issuer not in route.issuers:
            raise ForbiddenError(f"{caller.issuer} may not call this", action=route.action)
        require(caller, route.action)
        cause = context.Cause(
            actor=caller.actor,
            org_id=caller.org_id,
            correlation_id=request[REQUEST_ID],
            traceparent=telemetry.traceparent(),
        )
        if not route.defers_body:
            await accept_body(request)
        with context.bound(cause):
            return await handler(request)

    return guard


@contextmanager
def _followed(request: web.Request, *, stream: bool) -> Iterator[None]:
    task = request.task
    sets = [request.app[IN_FLIGHT], *([request.app[STREAMS]] if stream else [])]
    for each in sets:
        each.add(task)
    try:
        yield
    finally:
        for each in sets:
            each.discard(task)


def _add_probes(app: web.Application, service: str, ready: Ready) -> None:
    async def livez(_: web.Request) -> web.Response:
        return json_response({"service": service, "live": True})

    async def readyz(_: web.Request) -> web.Response:
        found = await _readiness(ready, stopping=app[STOPPING].is_set())
        view = {"service": service, "ready": found.ok, "failing": dict(found.failing)}
        return json_response(view, 200 if found.ok else 503)

    for path, handler in (("/livez", livez), ("/readyz", readyz)):
        app[_ROUTES][app.router.add_route("GET", path, handler)] = None


async def _numbers(_: web.Request) -> web.Response:
    return web.Response(
        body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"}
    )


async def _check_declared(app: web.Application) -> None:
    for each in app.router.routes():
        if each not in app[_ROUTES]:
            raise RuntimeError(f"{each.method} {each.resource} was added without an action")


async def _readiness(ready: Ready, *, stopping: bool) -> Readiness:
    if stopping:
        return Readiness({"lifecycle": "stopping"})
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await ready()
    except Exception as error:  # noqa: BLE001 -- whatever a check raises, the answer is "not ready"
        _log.warning("readiness.failed", exc_info=True)
        return Readiness({"readiness": type(error).__name__})


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[PREPARED] = response
    response.headers["Server"] = "yokocho"
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    if request.app[STOPPING].is_set() and response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        response.force_close()
        response.headers["Connection"] = "close"
