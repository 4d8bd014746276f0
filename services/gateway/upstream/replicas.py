"""The processes behind endpoints: a pool of connections for each, and which one is next."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import aiohttp

from services.gateway.upstream.exchange import READ_BUFFER

_IDLE: Final = timedelta(seconds=2)
"""Shorter than uvicorn's 5 s, so that a connection is never reused while it is being closed."""
_CONNECTIONS: Final = 1024
_SHUNNED: Final = timedelta(seconds=1)


class Replica:
    """One upstream and the requests that are on their way to it."""

    __slots__ = ("in_flight", "session", "shunned_until", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.in_flight = 0
        self.shunned_until = 0.0
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, keepalive_timeout=_IDLE.total_seconds()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_BUFFER,
        )


class Replicas:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._replicas: dict[str, Replica] = {}
        self._retired: list[Replica] = []
        self._turn = 0

    def pick(self, urls: Sequence[str], *, tried: Collection[str] = ()) -> Replica | None:
        """The least busy of ``urls`` that was not tried; in turn among equals.

        One that refused a connection a moment ago comes last.
        """
        untried = [self._of(url) for url in urls if url not in tried]
        if not untried:
            return None
        now = self._clock()
        self._turn += 1
        start = self._turn % len(untried)
        return min(
            (*untried[start:], *untried[:start]),
            key=lambda each: (each.shunned_until > now, each.in_flight),
        )

    @contextmanager
    def using(self, replica: Replica) -> Iterator[aiohttp.ClientSession]:
        replica.in_flight += 1
        try:
            yield replica.session
        finally:
            replica.in_flight -= 1

    def shun(self, replica: Replica) -> None:
        replica.shunned_until = self._clock() + _SHUNNED.total_seconds()

    async def retain(self, urls: Collection[str]) -> None:
        """Let go of all others: at once where idle, else when their last request has ended.

        Idle connections to a stopped process must not meet the next one on its port.
        """
        for url in self._replicas.keys() - set(urls):
            self._retired.append(self._replicas.pop(url))
        idle = [each for each in self._retired if each.in_flight == 0]
        self._retired = [each for each in self._retired if each.in_flight > 0]
        for each in idle:
            await each.session.close()

    async def close(self) -> None:
        for each in (*self._replicas.values(), *self._retired):
            await each.session.close()
        self._replicas.clear()
        self._retired.clear()

    def _of(self, url: str) -> Replica:
        found = self._replicas.get(url)
        if found is None:
            found = self._replicas[url] = Replica(url)
        return found
