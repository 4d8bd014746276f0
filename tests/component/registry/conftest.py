"""A registry of the test's own, and a client of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.registry import Served, served


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(pool, tmp_path / "blobs") as running:
        yield running


@pytest.fixture
async def session(registry: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(registry.url) as session:
        yield session
