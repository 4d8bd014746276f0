"""What a registry asks for, answered: a name and a password, or a token of its token service."""

import asyncio
import io
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.access.protocol import basic
from services.builder.oci.challenge import Challenge, parse_challenges
from services.builder.oci.refusals import Answer, is_passing, refusal
from services.builder.oci.transport import Patience, Trust

_CLIENT: Final = "yokocho-builder"
_OK: Final = 200
_NOT_SPOKEN: Final = frozenset({404, 405})
_LIMIT: Final = 2**18
_TOKEN: Final = re.compile(r"[!-~]{1,65536}")
_SHORTEST: Final = 60
"""Seconds that a token lives whose service says nothing, or less."""
_LONGEST: Final = 3600
_MARGIN: Final = 0.8
"""Of a token's life it is used: what is sent with it takes its time."""
_MOST_KEPT: Final = 1000
_PATIENCE: Final = Patience()


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name with a password, or a token of identity that stands for both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class _Realm:
    url: URL
    service: str


class TokenAccess:
    """Docker's way: nothing is sent before it is asked for, then a token for each scope.

    ``credentials`` may be none: Docker Hub gives tokens to everybody. ``plain_http`` lets them go
    to a token service without TLS.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        credentials: Credentials | None = None,
        *,
        plain_http: bool = False,
        ssl: Trust = True,
        patience: Patience = _PATIENCE,
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._plain_http = plain_http
        self._ssl = ssl
        self._patience = patience
        self._realm: _Realm | None = None
        self._basic = False
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._given: WeakKeyDictionary[asyncio.Task[Any], _Kept | None] = WeakKeyDictionary()

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        if challenge is None:
            if self._basic:
                return self._named()
            self._give(None)
            return await self._token(scope) if self._realm else None
        wanted = {each.scheme: each for each in reversed(parse_challenges(challenge))}
        if (bearer := wanted.get("bearer")) is not None:
            self._realm = self._read(bearer)
            return await self._token(scope, besides=self._given_last())
        if "basic" in wanted and self._named() and not self._basic:
            self._basic = True
            return self._named()
        return None

    def _named(self) -> str | None:
        known = self._credentials
        return basic(known.username, known.password) if known and known.password else None

    def _read(self, challenge: Challenge) -> _Realm:
        try:
            url = URL(challenge.parameters.get("realm", ""))
            safe = url.scheme == "https" or (url.scheme == "http" and self._plain_http)
            host = url.host
        except ValueError:
            safe, host = False, None
            url = URL()
        if not safe or not host:
            raise BuildFailedError(
                "registry-denied", "the registry wants a token of a service that has no TLS"
            )
        return _Realm(url.with_user(None), challenge.parameters.get("service", ""))

    async def _token(self, scope: str, *, besides: _Kept | None = None) -> str:
        """Asked for once, however many want it."""
        async with self._locks.setdefault(scope, asyncio.Lock()):
            kept = self._kept.get(scope)
            if kept is None or kept is besides or kept.until <= _now():
                kept = await self._asked(scope)
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                    self._locks.clear()
                self._kept[scope] = kept
        self._give(kept)
        return f"Bearer {kept.value}"

    def _give(self, kept: _Kept | None) -> None:
        if (task := asyncio.current_task()) is not None:
            self._given[task] = kept

    def _given_last(self) -> _Kept | None:
        """What the registry refused: of many who were refused, one asks for another token."""
        task = asyncio.current_task()
        return self._given.get(task) if task else None

    async def _asked(self, scope: str) -> _Kept:
        """Whoever asks the registry tries again, and with it this."""
        begun = _now()
        answer = await self._ask(scope)
        if is_passing(answer.status):
            raise refusal(self._name, replace(answer, body=b""))
        return self._understood(answer, begun)

    async def _ask(self, scope: str) -> Answer:
        realm, known = self._realm, self._credentials
        if realm is None:
            raise BuildFailedError("registry-denied", "the registry names no token service")
        if known is not None and known.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": known.identity_token,
                "service": realm.service,
                "scope": scope,
                "client_id": _CLIENT,
            }
            return await self._fetch("POST", realm.url, form=form)
        url = realm.url.extend_query([("service", realm.service)] if realm.service else [])
        url = url.extend_query([("scope", each) for each in scope.split()])
        named = self._named()
        if named is None or known is None:
            return await self._fetch("GET", url)
        url = url.extend_query([("account", known.username), ("client_id", _CLIENT)])
        got = await self._fetch("GET", url, authorization=named)
        if got.status in _NOT_SPOKEN:
            form = {
                "grant_type": "password",
                "username": known.username,
                "password": known.password,
                "service": realm.service,
                "scope": scope,
                "client_id": _CLIENT,
            }
            got = await self._fetch("POST", realm.url, form=form)
        return got

    async def _fetch(
        self,
        method: str,
        url: URL,
        *,
        authorization: str | None = None,
        form: dict[str, str] | None = None,
    ) -> Answer:
        try:
            async with self._session.request(
                method,
                url,
                headers={"Authorization": authorization} if authorization else {},
                data=form,
                allow_redirects=False,
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=self._patience.silence),
            ) as answer:
                body = io.BytesIO()
                async for chunk in answer.content.iter_any():
                    body.write(chunk)
                    if body.tell() > _LIMIT:
                        raise BuildFailedError("registry-denied", f"{self._name} never ends")
                return Answer(answer.status, answer.headers, body.getvalue(), url)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise RegistryUnreachableError(
                self._name, f"no token: {type(error).__name__}"
            ) from None

    def _understood(self, answer: Answer, begun: float) -> _Kept:
        """What a token service says is not shown: it was sent what nobody may see."""
        if answer.status != _OK:
            why = f"{self._name} gives no token: {answer.status}"
            raise BuildFailedError("registry-denied", why)
        try:
            said: Any = json.loads(answer.body)
            token = said.get("token") or said.get("access_token")
            life = said.get("expires_in") or 0
        except (ValueError, AttributeError, RecursionError):
            token, life = None, 0
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise BuildFailedError("registry-denied", f"{self._name} answers with no token")
        seconds = life if isinstance(life, int | float) else 0
        return _Kept(token, begun + _MARGIN * min(max(seconds, _SHORTEST), _LONGEST))

    @property
    def _name(self) -> str:
        return self._realm.url.authority if self._realm else "the token service"


def _now() -> float:
    return asyncio.get_running_loop().time()
