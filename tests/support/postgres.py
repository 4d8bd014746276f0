"""One Postgres per test session, and a migrated database per test, cloned from a template."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from libs.chassis.migrate import CHASSIS, migrate
from libs.chassis.postgres import Pool, create_pool
from tests.support import binaries

URL: Final = "TEST_POSTGRES_URL"

_FAST: Final = (
    *("-c", "fsync=off"),
    *("-c", "full_page_writes=off"),
    *("-c", "synchronous_commit=off"),
    *("-c", "shared_buffers=64MB"),
    *("-c", "max_connections=200"),
    *("-c", "listen_addresses="),
)


class PostgresServer:
    """A server by its URL; every database has the same rights on it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._templates: dict[str, str] = {}

    def url(self, database: str = "postgres") -> str:
        parts = urlsplit(self._url)
        whole = urlunsplit(parts._replace(path=f"/{database}"))
        # an empty host keeps its slashes: the socket's folder is in the query
        return whole if parts.netloc else whole.replace(":/", ":///", 1)

    @asynccontextmanager
    async def database(self, service: str | None = None) -> AsyncIterator[str]:
        """URL of a fresh database, migrated for ``service``; without one, empty."""
        name = await self.make(service)
        try:
            yield self.url(name)
        finally:
            await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def make(self, service: str | None) -> str:
        """Name of a fresh database that stays for as long as the server does."""
        name = f"test_{uuid4().hex}"
        template = await self._template(service) if service else "template0"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def _template(self, service: str) -> str:
        if service not in self._templates:
            name = f"template_{uuid4().hex}"
            await self._execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
            package = f"services.{service}" if service != "chassis" else CHASSIS
            for phase in ("pre", "post"):
                await migrate(self.url(name), package, phase=phase)
            self._templates[service] = name
        return self._templates[service]

    async def _execute(self, statement: str) -> None:
        admin = await asyncpg.connect(self.url(), timeout=10, command_timeout=30)
        try:
            await admin.execute(statement)
        finally:
            await admin.close(timeout=5)


@contextmanager
def running(folder: Path) -> Iterator[PostgresServer]:
    """A given server, else one from local programs, else one in Docker."""
    if given := os.environ.get(URL):
        yield PostgresServer(given)
    elif binaries.postgres("initdb") is not None:
        with _local(folder) as server:
            yield server
    elif binaries.docker_runs():
        with _contained() as server:
            yield server
    else:
        raise RuntimeError(f"no Postgres: set {URL}, install its programs, or start Docker")


@contextmanager
def _local(folder: Path) -> Iterator[PostgresServer]:
    initdb, program = binaries.postgres("initdb"), binaries.postgres("postgres")
    data = folder / "data"
    made = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
    subprocess.run(
        binaries.unprivileged([str(initdb), *made]), check=True, capture_output=True, timeout=60
    )
    command = binaries.unprivileged([str(program), "-D", str(data), "-k", str(folder), *_FAST])
    server = binaries.Program(command, folder / "postgres.log")
    server.start(lambda: (data / "postmaster.pid").exists() and _is_ready(data))
    try:
        yield PostgresServer(f"postgresql://postgres@/postgres?host={folder}")
    finally:
        server.stop(signal.SIGINT)


def _is_ready(data: Path) -> bool:
    return "ready" in (data / "postmaster.pid").read_text()


@contextmanager
def _contained() -> Iterator[PostgresServer]:
    if find_spec("testcontainers") is None:
        raise RuntimeError(f"Docker runs, but testcontainers is not installed; or set {URL}")
    containers = import_module("testcontainers.postgres")
    with containers.PostgresContainer("postgres:18", driver=None) as container:
        yield PostgresServer(container.get_connection_url())


def service_of(path: Path) -> str:
    """The service a test file belongs to by its folder; the chassis when to none."""
    for part in reversed(path.parent.parts):
        if (Path("services") / part / "migrations").is_dir():
            return part
    return "chassis"


@asynccontextmanager
async def pool_of(url: str) -> AsyncIterator[Pool]:
    async with create_pool(url, max_size=6, application_name="test") as pool:
        yield pool
