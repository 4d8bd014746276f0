"""Requests to one registry: authorised, tried again, redirected; its refusals are our errors."""

import asyncio
import io
import random
import ssl as tls
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.access.protocol import Access
from services.builder.oci.refusals import Answer, is_passing, refusal

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_SMALL: Final = 2**16
_UNAUTHORISED: Final = 401
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "yokocho-builder"}
"""Bytes as they are stored: digests are of those."""

Trust = tls.SSLContext | bool
Body = bytes | AsyncIterable[bytes] | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how many seconds are waited: between, and for bytes."""

    attempts: int = 4
    pause: float = 0.25
    longest_pause: float = 30.0
    connect: float = 10.0
    silence: float = 60.0
    finishing: float = 600.0
    """A registry may look through all that it got before it says that it has it."""


class Transport:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        access: Access,
        ssl: Trust,
        patience: Patience,
    ) -> None:
        self._session = session
        self._access = access
        self._ssl = ssl
        self.base = URL(base_url.rstrip("/"), encoded=True)
        self.patience = patience

    @property
    def name(self) -> str:
        return self.base.authority

    def at(self, path: str) -> URL:
        """``path`` begins with a slash and is made of what was looked at."""
        return URL(f"{self.base}{path}", encoded=True)

    async def ask(
        self,
        method: str,
        url: URL,
        *,
        scope: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = _SMALL,
        silence: float | None = None,
    ) -> Answer:
        """Any answer that is not a passing trouble. More than ``limit`` bytes are refused."""
        turn = 0
        while True:
            try:
                async with self.answer(
                    method, url, scope=scope, data=data, headers=headers, silence=silence
                ) as got:
                    answer = await self.read(got, limit=limit)
                if not is_passing(answer.status):
                    return answer
                raise refusal(self.name, answer)
            except RegistryUnreachableError as error:
                turn += 1
                await self.pause(turn, error)

    async def pause(self, turn: int, error: RegistryUnreachableError) -> None:
        """Before attempt ``turn``, as long as the registry says. Raises when it was the last."""
        wished = error.retry_after.total_seconds() if error.retry_after else 0.0
        if turn >= self.patience.attempts or wished > self.patience.longest_pause:
            raise error
        own = self.patience.pause * 2 ** (turn - 1) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        await asyncio.sleep(max(wished, own))

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        url: URL,
        *,
        scope: str,
        data: Body = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One attempt, in which a 401 is answered once.

        A body that cannot be had again is not sent again: what is sent next has what was wanted.
        """
        value = await self._access.authorization(challenge=None, scope=scope)
        sent = dict(headers or {})
        async with self._sent(method, url, value, data, sent, silence) as first:
            if first.status != _UNAUTHORISED or first.url.origin() != self.base.origin():
                yield first
                return
            challenge = ", ".join(first.headers.getall("WWW-Authenticate", ()))
            fresh = await self._access.authorization(challenge=challenge or "none", scope=scope)
            if fresh is None or isinstance(data, AsyncIterable):
                yield first
                return
        async with self._sent(method, url, fresh, data, sent, silence) as second:
            yield second

    async def read(self, answer: aiohttp.ClientResponse, *, limit: int = _SMALL) -> Answer:
        body = bytearray()
        with self.translated():
            async for chunk in answer.content.iter_chunked(_SMALL):
                body += chunk
                if len(body) > limit:
                    answer.close()
                    why = f"{self.name} answers with more than {limit} bytes"
                    raise BuildFailedError("registry-refused", why)
        secret = answer.request_info.headers.get("Authorization", "").partition(" ")[2]
        return Answer(answer.status, answer.headers, bytes(body), answer.url, secret)

    @asynccontextmanager
    async def _sent(  # noqa: PLR0917 - private, and called twice
        self,
        method: str,
        url: URL,
        value: str | None,
        data: Body,
        headers: dict[str, str],
        silence: float | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follows redirects of reads. Who asks is told to nobody but the registry itself."""
        for _ in range(_MOST_REDIRECTS + 1):
            own = url.origin() == self.base.origin()
            authorization = {"Authorization": value} if value and own else {}
            with self.translated():
                answer = await self._session.request(
                    method,
                    url,
                    data=io.BytesIO(data) if isinstance(data, bytes) else data,
                    headers=_HEADERS | headers | authorization,
                    allow_redirects=False,
                    auto_decompress=False,
                    ssl=self._ssl,
                    timeout=self._timeout(silence),
                )
            async with answer:
                if answer.status not in _REDIRECTS or method not in {"GET", "HEAD"}:
                    yield answer
                    return
                url = self.location(answer.url, answer.headers)
        raise BuildFailedError("registry-refused", f"{self.name} redirects in circles")

    def location(self, asked: URL, headers: Mapping[str, str]) -> URL:
        """Where the registry sends us: never from TLS to none."""
        try:
            url = asked.join(URL(headers["Location"], encoded=True))
            safe = url.scheme == "https" or (url.scheme == "http" and self.base.scheme == "http")
            url.origin()
        except (KeyError, ValueError):
            raise BuildFailedError(
                "registry-refused", f"{self.name} does not say where to go on"
            ) from None
        if not safe:
            raise BuildFailedError(
                "registry-refused", f"{self.name} leads from TLS to {url.scheme}"
            )
        return url.with_user(None)

    def _timeout(self, silence: float | None) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=None,
            sock_connect=self.patience.connect,
            sock_read=self.patience.silence if silence is None else silence,
        )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What went wrong on the way, without addresses: they may be signed."""
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            why = f"{self.name}: its certificate is not trusted: {error.certificate_error}"
            raise BuildFailedError("registry-untrusted", why[:500]) from None
        except aiohttp.ClientConnectorError as error:
            raise RegistryUnreachableError(self.name, f"no connection: {error.os_error}") from None
        except TimeoutError:
            raise RegistryUnreachableError(self.name, "it does not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            why = f"the connection broke: {type(error).__name__}"
            raise RegistryUnreachableError(self.name, why) from None
