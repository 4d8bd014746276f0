"""The HTTP skeleton: routes that name their action, one log line per request, probes, metrics."""

import asyncio
import re
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry.trace import Span, SpanKind

from libs.chassis import context, metrics, telemetry
from libs.chassis.auth import Authenticate, ForbiddenError, authorize
from libs.chassis.problems import REQUEST_ID, json_response, problem_middleware
from libs.contracts.identity import Principal

PUBLIC: Final = "public"
"""Action of the probes, which anybody may call. No other route can have it."""
PRINCIPAL: Final = web.RequestKey("principal", Principal)
STOPPING: Final = web.AppKey("stopping", asyncio.Event)
"""Set when the process has been told to stop; readiness is false from then on."""
STREAMS: Final = web.AppKey("streams", set[asyncio.Task[object]])
"""Requests without an end of their own: cut when the service stops."""

_ACTION: Final = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_REQUEST_ID: Final = re.compile(r"[-A-Za-z0-9_.:]{1,128}")
_READY_SECONDS: Final = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, with the action that the caller must be allowed.

    ``issuers`` are the services whose identity is accepted. ``stream`` says that the answer
    has no end of its own (a followed log, server-sent events): it is cut when the service
    stops and is left out of the latency histogram.
    """

    method: str
    path: str
    handler: Handler
    action: str
    issuers: frozenset[str] = frozenset({"gateway"})
    stream: bool = False

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


Ready = Callable[[], Awaitable[Readiness]]
_Routes = dict[web.AbstractRoute, Route | None]
_ROUTES: Final = web.AppKey("routes", _Routes)


def build_app(
    routes: Iterable[Route],
    *,
    service: str,
    authenticate: Authenticate,
    ready: Ready,
    client_max_size: int = 4 * 2**20,
    trust_request_id: bool = True,
) -> web.Application:
    """An application that answers ``routes``, the probes and ``/metrics``, and nothing else.

    A public edge passes ``trust_request_id=False``: correlation ids are then its own.
    """
    edge = _edge(service, trust_request_id=trust_request_id)
    app = web.Application(
        middlewares=[edge, problem_middleware, _guard(authenticate)],
        client_max_size=client_max_size,
    )
    app[_ROUTES] = {}
    app[STOPPING] = asyncio.Event()
    app[STREAMS] = set()
    _add_probes(app, service, ready)
    for route in routes:
        methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        for method in methods:
            app[_ROUTES][app.router.add_route(method, route.path, route.handler)] = route
    app.on_response_prepare.append(_finish_headers)
    return app


def principal(request: web.Request) -> Principal:
    """The verified caller. Every handler of a ``Route`` has one."""
    return request[PRINCIPAL]


async def stream_response(
    request: web.Request,
    chunks: AsyncIterable[bytes],
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
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response


def _edge(service: str, *, trust_request_id: bool) -> Middleware:
    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "") if trust_request_id else ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        request[REQUEST_ID] = request_id
        line = _Line(request)
        parent = telemetry.remote_context(request.headers.get("traceparent"))
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            telemetry.tracer().start_as_current_span(
                line.name, context=parent, kind=SpanKind.SERVER, record_exception=False
            ) as span,
            line.written(span),
        ):
            response = await handler(request)
            line.response = response
            return response

    return edge


class _Line:
    """The canonical line of one request, its metrics and the end of its span. No header, no body."""

    def __init__(self, request: web.Request) -> None:
        resource = request.match_info.route.resource
        self.route = resource.canonical if resource else "(none)"
        self.name = f"{request.method} {self.route}"
        self.response: web.StreamResponse | None = None
        self._request = request
        self._declared = request.app[_ROUTES].get(request.match_info.route)
        self._begun = time.monotonic()

    @contextmanager
    def written(self, span: Span) -> Iterator[None]:
        try:
            yield
        finally:
            self._write(span)

    def _write(self, span: Span) -> None:
        request, response = self._request, self.response
        status = response.status if response else 499
        seconds = time.monotonic() - self._begun
        caller = request.get(PRINCIPAL)
        metrics.REQUESTS.labels(request.method, self.route, str(status)).inc()
        if self._declared is not None and not self._declared.stream:
            metrics.REQUEST_SECONDS.labels(request.method, self.route).observe(seconds)
        span.set_attributes(
            {
                "http.request.method": request.method,
                "http.route": self.route,
                "http.response.status_code": status,
            }
        )
        write = _log.debug if self._declared is None and status < 400 else _log.info
        write(
            "http.request",
            method=request.method,
            path=request.path,
            route=self.route,
            status=status,
            seconds=round(seconds, 6),
            bytes=_size(request, response),
            action=self._declared.action if self._declared else None,
            actor=caller.actor if caller else None,
            org_id=str(caller.org_id) if caller else None,
        )


def _size(request: web.Request, response: web.StreamResponse | None) -> int:
    """Bytes of the answer's body: announced where it is still to be sent, else sent."""
    if isinstance(response, web.Response) and response.content_length is not None:
        return response.content_length
    return request.writer.output_size


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
        refusal = authorize(caller, route.action)
        if refusal is not None:
            raise ForbiddenError(refusal.reason, action=refusal.action)
        cause = context.Cause(
            actor=caller.actor,
            org_id=caller.org_id,
            correlation_id=request[REQUEST_ID],
            traceparent=telemetry.traceparent(),
        )
        with context.bound(cause), _followed(request, route):
            return await handler(request)

    return guard


@contextmanager
def _followed(request: web.Request, route: Route) -> Iterator[None]:
    task = asyncio.current_task()
    streams = request.app[STREAMS]
    if route.stream and task is not None:
        streams.add(task)
    try:
        yield
    finally:
        if task is not None:
            streams.discard(task)


def _add_probes(app: web.Application, service: str, ready: Ready) -> None:
    async def livez(_: web.Request) -> web.Response:
        return json_response({"service": service, "live": True})

    async def readyz(_: web.Request) -> web.Response:
        found = await _readiness(ready, stopping=app[STOPPING].is_set())
        view = {"service": service, "ready": found.ok, "failing": dict(found.failing)}
        return json_response(view, 200 if found.ok else 503)

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    for path, handler in (("/livez", livez), ("/readyz", readyz), ("/metrics", numbers)):
        app[_ROUTES][app.router.add_route("GET", path, handler)] = None


async def _readiness(ready: Ready, *, stopping: bool) -> Readiness:
    if stopping:
        return Readiness({"lifecycle": "stopping"})
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await ready()
    except Exception as error:
        _log.warning("readiness.failed", exc_info=True)
        return Readiness({"readiness": type(error).__name__})


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "yokocho"
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    if request.app[STOPPING].is_set():
        response.force_close()
