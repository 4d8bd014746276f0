"""The endpoints listener: ``/<namespace>/<deployment>/…`` to a process of that deployment."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from libs.chassis.http import STREAMS
from libs.chassis.problems import REQUEST_ID
from services.gateway.dataplane import DataPlane
from services.gateway.domain import Route, State
from services.gateway.errors import (
    EndpointFailedError,
    EndpointInterruptedError,
    EndpointStartingError,
    EndpointTerminatedError,
    EndpointTimeoutError,
    EndpointUnknownError,
    EndpointUnreachableError,
    RoutesLoadingError,
)
from services.gateway.http.admission import Admission
from services.gateway.routing.headers import (
    Headers,
    confined,
    crossing,
    forwarded_by,
    is_websocket,
)
from services.gateway.routing.target import Target, endpoint_target
from services.gateway.upstream import (
    Body,
    BrokenOffError,
    HandshakeRefusedError,
    NotSentError,
    Replica,
    Replicas,
    SilentError,
    WebSocketLimits,
    converse,
    open_exchange,
    relay,
)

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


@dataclass(frozen=True, slots=True)
class Limits:
    silence: timedelta
    websocket: WebSocketLimits


@dataclass(slots=True)
class _Call:
    """One request on its way: what stays the same whichever replica gets it."""

    request: web.Request
    target: Target
    route: Route
    headers: CIMultiDict[str]
    body: Body
    tried: set[str]

    def url(self, replica: Replica) -> URL:
        query = self.request.rel_url.raw_query_string
        path = self.target.path or "/"
        return URL(f"{replica.url}{path}{'?' + query if query else ''}", encoded=True)


_Send = Callable[[_Call, Replica], Awaitable[web.StreamResponse]]


class Endpoints:
    """``on_lost`` is called when no replica of a serving endpoint accepts connections."""

    def __init__(
        self,
        plane: DataPlane,
        replicas: Replicas,
        admission: Admission,
        *,
        limits: Limits,
        on_lost: Callable[[], None],
    ) -> None:
        self._plane = plane
        self._replicas = replicas
        self._admission = admission
        self._limits = limits
        self._on_lost = on_lost

    async def serve(self, request: web.Request) -> web.StreamResponse:
        target = endpoint_target(request.rel_url.raw_path)
        route = self._route(request, target)
        await self._require_serving(request, route)
        await self._admission.require(request, route)
        if target is None or (not target.path and request.method in {"GET", "HEAD"}):
            return _with_slash(request)
        call = _Call(
            request=request,
            target=target,
            route=route,
            headers=await self._headers(request, target),
            body=Body(request),
            tried=set(),
        )
        if is_websocket(request.method, request.headers):
            return await self._until_sent(call, self._converse)
        return await self._until_sent(call, self._exchange)

    def _route(self, request: web.Request, target: Target | None) -> Route:
        if not self._plane.is_loaded:
            raise RoutesLoadingError
        found = self._plane.find(target.namespace, target.deployment) if target else None
        if found is None:
            named = "/".join(request.path.split("/")[1:3])
            raise EndpointUnknownError(named[:128])
        return found

    async def _require_serving(self, request: web.Request, route: Route) -> None:
        match route.state:
            case State.STARTING:
                raise EndpointStartingError(route.endpoint)
            case State.FAILED:
                may_know = await self._admission.may_know(request, route)
                raise EndpointFailedError(route.endpoint, route.reason if may_know else None)
            case State.TERMINATED:
                raise EndpointTerminatedError(route.endpoint)
            case State.SERVING | State.DELETED:
                return

    async def _headers(self, request: web.Request, target: Target) -> CIMultiDict[str]:
        headers = crossing(request.headers)
        await self._admission.strip(headers)
        headers["Host"] = request.host
        headers.update(forwarded_by(request, prefix=target.prefix))
        headers["X-Request-Id"] = request[REQUEST_ID]
        return headers

    async def _until_sent(self, call: _Call, send: _Send) -> web.StreamResponse:
        """Try replicas until one takes the request. The table is read anew for each try."""
        while True:
            route = self._plane.find(call.target.namespace, call.target.deployment) or call.route
            replica = self._replicas.pick(route.upstreams, tried=call.tried)
            if replica is None:
                self._on_lost()
                raise EndpointUnreachableError(route.endpoint, len(call.tried))
            call.tried.add(replica.url)
            try:
                return await send(call, replica)
            except NotSentError:
                self._replicas.shun(replica)
            except BrokenOffError as error:
                if call.request.method not in _IDEMPOTENT or call.body.is_taken:
                    raise EndpointInterruptedError(route.endpoint) from error
                self._replicas.shun(replica)
            except SilentError as error:
                raise EndpointTimeoutError(route.endpoint, self._limits.silence) from error

    async def _exchange(self, call: _Call, replica: Replica) -> web.StreamResponse:
        request = call.request
        with self._replicas.using(replica) as session:
            response = await open_exchange(
                session,
                request.method,
                call.url(replica),
                headers=call.headers,
                body=call.body,
                silence=self._limits.silence,
            )
            async with response:
                return await relay(request, response, _returned(call, replica, response.headers))

    async def _converse(self, call: _Call, replica: Replica) -> web.StreamResponse:
        streams, task = call.request.app[STREAMS], asyncio.current_task()
        if task is not None:
            streams.add(task)
        try:
            with self._replicas.using(replica) as session:
                return await converse(
                    call.request,
                    session,
                    call.url(replica),
                    headers=call.headers,
                    limits=self._limits.websocket,
                )
        except HandshakeRefusedError as refused:
            headers = _returned(call, replica, refused.headers)
            headers.popall("Content-Length", None)
            return web.Response(status=refused.status, headers=headers)
        finally:
            if task is not None:
                streams.discard(task)


def _returned(call: _Call, replica: Replica, headers: Headers) -> CIMultiDict[str]:
    authorities = (call.request.host, replica.url.removeprefix("http://"))
    return confined(headers, prefix=call.target.prefix, authorities=authorities)


def _with_slash(request: web.Request) -> web.Response:
    """Relative links of a model's pages only work below its own slash."""
    query = request.rel_url.raw_query_string
    location = f"{request.rel_url.raw_path}/{'?' + query if query else ''}"
    return web.Response(status=308, headers={"Location": location})
