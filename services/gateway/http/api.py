"""The API listener: whoever holds a token asks, the service that knows answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from libs.chassis import telemetry
from libs.chassis.auth import Signer
from libs.chassis.http import Route, principal
from libs.chassis.lifecycle import sleep_or_stop
from libs.chassis.problems import REQUEST_ID
from services.gateway.errors import PeerUnavailableError
from services.gateway.routing.forwarding import FORWARDS, Forward, service_of
from services.gateway.routing.headers import (
    ORGANISATION,
    crossing,
    forwarded_by,
    is_websocket,
    returning,
)
from services.gateway.routing.target import require_canonical
from services.gateway.upstream import (
    Body,
    BrokenOffError,
    HandshakeRefusedError,
    NotSentError,
    SilentError,
    WebSocketLimits,
    converse,
    open_exchange,
    relay,
)

_SILENCE: Final = timedelta(seconds=300)
_PAUSE: Final = timedelta(milliseconds=100)
HIDDEN: Final[web.RequestKey[frozenset[str]]] = web.RequestKey("hidden", frozenset)
"""Parameters of the query that the caller's token does not reach to: they are not passed on."""
PATIENCE: Final = timedelta(seconds=2)
"""How long a service that refuses connections is waited for: it may be restarting."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """Connections of their own: they last, and must not take the places of short calls."""

    session: aiohttp.ClientSession
    limits: WebSocketLimits


class ForwardApi:
    """Passes API calls on with a signed identity in place of the caller's credentials."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        signer: Signer,
        peers: Mapping[str, str],
        *,
        sockets: Sockets,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._session = session
        self._signer = signer
        self._peers = peers
        self._sockets = sockets
        self._attempts = 1 + round(patience / _PAUSE)

    def routes(self) -> list[Route]:
        return [
            Route(
                each.method,
                each.path,
                partial(self._forward, each),
                action=each.action,
                defers_body=True,
                stream=each.upgrades,
            )
            for each in FORWARDS
        ]

    async def _forward(self, forward: Forward, request: web.Request) -> web.StreamResponse:
        require_canonical(request.rel_url.raw_path)
        service = service_of(forward, request.query.get("pod_name", ""))
        base = self._peers.get(service)
        if base is None:
            raise PeerUnavailableError(service, "is not part of this platform")
        url = URL(f"{base.rstrip('/')}{request.rel_url.raw_path_qs}", encoded=True)
        if HIDDEN in request:
            url = url.without_query_params(*request[HIDDEN])
        try:
            if forward.upgrades and is_websocket(request.method, request.headers):
                return await self._converse(service, request, url)
            response = await self._open(service, request, url)
        except NotSentError as error:
            raise PeerUnavailableError(service, "does not accept connections") from error
        except BrokenOffError as error:
            raise PeerUnavailableError(service, "broke off before it answered") from error
        except SilentError as error:
            raise PeerUnavailableError(service, "did not answer in time") from error
        async with response:
            return await relay(request, response, returning(response.headers))

    async def _converse(self, service: str, request: web.Request, url: URL) -> web.StreamResponse:
        try:
            return await converse(
                request,
                self._sockets.session,
                url,
                headers=self._headers(service, request),
                limits=self._sockets.limits,
            )
        except HandshakeRefusedError as refused:
            headers = returning(refused.headers)
            headers.popall("Content-Length", None)
            return web.Response(status=refused.status, headers=headers)

    async def _open(self, service: str, request: web.Request, url: URL) -> aiohttp.ClientResponse:
        body = Body(request)
        for attempt in range(1, self._attempts + 1):
            try:
                return await open_exchange(
                    self._session,
                    request.method,
                    url,
                    headers=self._headers(service, request),
                    body=body,
                    silence=None if _is_followed(request) else _SILENCE,
                    invited="Expect" in request.headers,
                )
            except NotSentError:
                if attempt == self._attempts or await sleep_or_stop(_PAUSE):
                    raise
        raise AssertionError("unreachable")

    def _headers(self, service: str, request: web.Request) -> CIMultiDict[str]:
        caller = principal(request)
        headers = crossing(request.headers)
        for name in (ORGANISATION, "Cookie", "traceparent"):
            headers.popall(name, None)
        headers.update(forwarded_by(request))
        headers["X-Request-Id"] = request[REQUEST_ID]
        parent = telemetry.traceparent()
        if parent is not None:
            headers["traceparent"] = parent
        token = self._signer.token(
            caller.actor,
            audience=service,
            org_id=caller.org_id,
            org=caller.org,
            person=caller.person,
        )
        headers["Authorization"] = f"Bearer {token}"
        return headers


def _is_followed(request: web.Request) -> bool:
    """Silence is no sign of trouble where the caller waits for whatever comes next."""
    return "follow" in request.query or "text/event-stream" in request.headers.get("Accept", "")
