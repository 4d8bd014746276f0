"""Registries of all makes that are at hand: ours, and those that everybody has."""

import random
import ssl
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from services.builder.oci import Access, AnonymousAccess, Credentials, Patience, Remote
from tests.support.oci_faults import BadRegistry, bad_registry
from tests.support.oci_registries import PROGRAMS, registry_of
from tests.support.postgres import PostgresServer, pool_of
from tests.support.registry import served

SECRET = "s3cret pass"
ADA = Credentials("ada", SECRET)
ABSENT = f"sha256:{'0' * 64}"
BLOB = random.Random(3).randbytes(2**20)  # noqa: S311 - no secret
SIZE = 64 * 5000
"""Of all pieces."""
SENT = "Basic YWRhOnMzY3JldA=="
QUICK = Patience(pause=0.01, silence=5, connect=2, finishing=5)


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(64):
        yield b"layer" * 1000


async def read(remote: Remote, digest: str, size: int = len(BLOB)) -> bytes:
    return b"".join([chunk async for chunk in remote.blob("team/iris", digest, size=size)])


def at(session: aiohttp.ClientSession, url: str, access: Access, **more: ssl.SSLContext) -> Remote:
    return Remote(session, url, access=access, patience=QUICK, **more)


def shown(error: BaseException) -> str:
    """All that a log could have of it."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@asynccontextmanager
async def ours(server: PostgresServer, folder: Path) -> AsyncIterator[str]:
    async with (
        server.database("registry") as url,
        pool_of(url) as pool,
        served(pool, folder / "blobs") as running,
    ):
        yield running.url


@pytest.fixture
async def bad() -> AsyncIterator[BadRegistry]:
    async with bad_registry() as registry:
        yield registry


@pytest.fixture
async def store() -> AsyncIterator[BadRegistry]:
    """Where blobs really are: another host to whoever asks."""
    async with bad_registry() as registry:
        yield registry


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[str]:
    with registry_of("docker-registry", tmp_path / "docker-registry") as url:
        yield url


@pytest.fixture(params=["ours", *PROGRAMS])
async def base_url(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[str]:
    if request.param == "ours":
        async with ours(postgres_server, tmp_path) as url:
            yield url
        return
    with registry_of(request.param, tmp_path / request.param) as url:
        yield url


@pytest.fixture
def remote(base_url: str, session: aiohttp.ClientSession) -> Remote:
    return Remote(session, base_url, access=AnonymousAccess(), patience=QUICK)


@pytest.fixture
def name() -> str:
    """A repository of the test's own."""
    return f"team/iris-{uuid4().hex[:12]}"
