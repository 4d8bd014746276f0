"""Servers that find themselves, a database per test, and no task that outlives its test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Final

import pytest
import structlog

from libs.chassis.postgres import Pool
from tests.support import base_image, nats, postgres, s3
from tests.support.nats import NatsServer
from tests.support.postgres import PostgresServer
from tests.support.s3 import S3Server

_LONG_FOLDERS: Final = {"system", "faults"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: no worker is left alone with it while the others rest."""
    long = {
        item.path
        for item in items
        if item.get_closest_marker("long") or _LONG_FOLDERS & {*item.path.parts}
    }
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Tracebacks drawn with colours and locals take a quarter of a second each."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
            renderer,
        ]
    )


@pytest.fixture(scope="session")
def base_layout() -> Path:
    """An OCI image layout with what bentos start from: Debian with Python 3.11."""
    return base_image.base_image()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres.running(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture
async def database_url(
    request: pytest.FixtureRequest, postgres_server: PostgresServer
) -> AsyncIterator[str]:
    """A fresh database, migrated for the service whose folder the test lies in."""
    async with postgres_server.database(postgres.service_of(request.path)) as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with postgres.pool_of(database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A bus of the test's own, with a user per service."""
    with nats.running(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def _task_guard() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # tasks that were just cancelled end now
    leaked = {
        task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()
    }
    if leaked:
        pytest.fail(f"tasks outlive the test: {', '.join(map(repr, leaked))}")


@pytest.fixture(autouse=True)
def _no_leaked_tasks(request: pytest.FixtureRequest) -> None:
    """Set up before every other fixture of the test, and so looks last."""
    if iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_task_guard")
