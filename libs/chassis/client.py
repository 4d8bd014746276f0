"""Calling another service: signed, traced, bounded in time, with its problems as our errors."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, ClassVar, Final, Self
from uuid import UUID

import aiohttp
from pydantic import BaseModel
from pydantic_core import from_json, to_json
from yarl import URL

from libs.chassis import context, telemetry
from libs.chassis.auth import Signer
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.problems import STATUS
from libs.contracts.identity import Person, Principal

_KINDS: Final = {status: kind for kind, status in STATUS.items()} | {400: Kind.INVALID}
_RESERVED: Final = {
    "type", "title", "status", "detail", "instance", "request_id", "message", "error"
}  # fmt: skip
_SECONDS: Final = re.compile(r"\d{1,5}")
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.1
_CONNECT_SECONDS: Final = 3
_SILENCE_SECONDS: Final = 60


class PeerUnavailableError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "peer-unavailable"
    title: ClassVar[str] = "A service that this one needs does not answer"

    def __init__(self, peer: str, why: str) -> None:
        super().__init__(f"{peer}: {why}", peer=peer)


class RemoteError(ServiceError):
    """A refusal by another service, passed on as its own: same kind, code, detail and facts."""


@dataclass(frozen=True, slots=True)
class OrgRef:
    """The organisation on whose behalf a service is called."""

    org_id: UUID
    org: str

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(principal.org_id, principal.org)


@asynccontextmanager
async def open_session(*, limit: int = 100) -> AsyncIterator[aiohttp.ClientSession]:
    """One pool of connections for all peers: no cookies, no proxies, no redirects to follow."""
    connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=15)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield session


class Peer:
    """One other service."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        service: str,
        peer: str,
        base_url: str,
        signer: Signer,
    ) -> None:
        self._session = session
        self._service = service
        self._peer = peer
        self._base = base_url.rstrip("/")
        self._signer = signer

    async def json(
        self,
        method: str,
        path: str,
        *,
        org: OrgRef,
        params: Mapping[str, str] | None = None,
        body: BaseModel | Any | None = None,
        timeout: timedelta = timedelta(seconds=10),  # for all attempts together
        actor: str | None = None,
        person: Person | None = None,
    ) -> Any:
        """The parsed answer, ``None`` where it is empty. A read is tried three times."""
        call = partial(
            self.stream,
            method,
            path,
            org=org,
            params=params,
            data=None if body is None else to_json(body),
            headers=None if body is None else {"Content-Type": "application/json"},
            actor=actor,
            person=person,
        )
        attempts = _ATTEMPTS if method in {"GET", "HEAD"} else 1
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                raw = await _read(call, attempts)
        except TimeoutError as error:
            why = f"no answer within {timeout.total_seconds():g} s"
            raise PeerUnavailableError(self._peer, why) from error
        try:
            return from_json(raw) if raw else None
        except ValueError as error:
            raise PeerUnavailableError(self._peer, "its answer is not JSON") from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        org: OrgRef,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        actor: str | None = None,
        person: Person | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body the caller reads; its status is below 400, else it is raised."""
        try:
            async with self._session.request(
                method,
                URL(self._base + path),
                params=params,
                data=data,
                headers={**(headers or {}), **self._identity(org, actor, person)},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
                ),
            ) as response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise await self._error(response)
                yield response
        except aiohttp.ClientError as error:
            raise PeerUnavailableError(self._peer, type(error).__name__) from error

    def _identity(self, org: OrgRef, actor: str | None, person: Person | None) -> dict[str, str]:
        token = self._signer.token(
            actor or f"service:{self._service}",
            audience=self._peer,
            org_id=org.org_id,
            org=org.org,
            person=person,
        )
        headers = {"Authorization": f"Bearer {token}", "User-Agent": f"yokocho-{self._service}"}
        try:
            cause = context.current()
        except LookupError:
            cause = None
        parent = telemetry.traceparent() or (cause.traceparent if cause else None)
        if parent is not None:
            headers["traceparent"] = parent
        if cause is not None:
            headers["X-Request-Id"] = cause.correlation_id
        return headers

    async def _error(self, response: aiohttp.ClientResponse) -> ServiceError:
        kind = _KINDS.get(response.status)
        if kind is None or kind is Kind.UNAUTHENTICATED:
            # Its bug, or a key that it does not know: nothing that our caller did wrong.
            return PeerUnavailableError(self._peer, f"answered {response.status}")
        try:
            body = from_json(await response.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return PeerUnavailableError(self._peer, f"answered {response.status} without a problem")
        given = str(body.get("type", ""))
        code = given.removeprefix("/problems/") if given.startswith("/problems/") else kind.value
        facts = {name: value for name, value in body.items() if name not in _RESERVED}
        found = _remote(kind, code, str(body.get("title", code)))
        return found(str(body.get("detail", "")), retry_after=_wait(response), **facts)


async def _read(
    call: Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]], attempts: int
) -> bytes:
    for attempt in range(1, attempts):
        try:
            async with call() as response:
                return await response.read()
        except PeerUnavailableError:
            await asyncio.sleep(_PAUSE * attempt * random.uniform(0.5, 1.5))  # noqa: S311 -- jitter
    async with call() as response:
        return await response.read()


@lru_cache(maxsize=256)
def _remote(kind: Kind, code: str, title: str) -> type[RemoteError]:
    told = {"kind": kind, "code": code, "title": title, "__module__": "remote"}
    return type("RemoteError", (RemoteError,), told)


def _wait(response: aiohttp.ClientResponse) -> timedelta | None:
    seconds = response.headers.get("Retry-After", "")
    return timedelta(seconds=int(seconds)) if _SECONDS.fullmatch(seconds) else None
