"""The log, its feed and its HTTP edge over a database of the test's own."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from services.events.service import EventLog
from services.events.stream import Feed
from tests.support.eventlog import event_log, serving


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def log(pool: Pool, feed: Feed) -> EventLog:
    return event_log(pool, feed)


@pytest.fixture
async def url(log: EventLog, feed: Feed) -> AsyncIterator[str]:
    async with serving(log, feed) as base:
        yield base


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
