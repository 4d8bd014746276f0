"""Probes of processes on this machine: short, and never through a proxy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import aiohttp
import psutil

TIMEOUT: Final = timedelta(seconds=0.9)
"""A worker that crashed leaves a socket that accepts and never answers."""
_WORKER: Final = "_bentoml_impl"


class Probes:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ok(self, url: str) -> bool:
        """Whether it answers 200 in time."""
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


@asynccontextmanager
async def open_probes() -> AsyncIterator[Probes]:
    """Connections are not kept: a kept one could belong to the process before."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT.total_seconds())
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield Probes(session)


def workers(pid: int, *, below: int = 0) -> frozenset[int]:
    """The processes that do the work below a server: BentoML's own, not what a model starts.

    The server is ``below`` generations after ``pid``.
    """
    try:
        family = psutil.Process(pid).children(recursive=below > 0)
        for _ in range(below):  # what became an orphan inside is younger than the server
            begun = [(each.create_time(), each.pid) for each in family if each.ppid() == pid]
            pid = min(begun)[1] if begun else -1
        children = [each for each in family if each.ppid() == pid] if below else family
    except psutil.Error:
        return frozenset()
    return frozenset(child.pid for child in children if _is_worker(child))


def _is_worker(child: psutil.Process) -> bool:
    try:
        dead = child.status() == psutil.STATUS_ZOMBIE
        return not dead and any(word.startswith(_WORKER) for word in child.cmdline())
    except psutil.Error:
        return False
