"""A builder, and a registry with a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.chassis.isolation import AUTO, choose
from libs.chassis.postgres import Pool
from tests.support import postgres
from tests.support.builder import Yard, building
from tests.support.postgres import PostgresServer


@pytest.fixture
async def shelves(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    async with (
        postgres_server.database("registry") as url,
        postgres.pool_of(url) as opened,
    ):
        yield opened


@pytest.fixture
async def yard(pool: Pool, shelves: Pool, tmp_path: Path) -> AsyncIterator[Yard]:
    isolation = choose(AUTO, [tmp_path / "builder", tmp_path / "keys"])
    async with building(pool, shelves, tmp_path, isolation=isolation) as yard:
        yield yard


@pytest.fixture
async def unconfined(pool: Pool, shelves: Pool, tmp_path: Path) -> AsyncIterator[Yard]:
    """A yard whose packages say, while they are built, what they do."""
    async with building(pool, shelves, tmp_path) as yard:
        yield yard
