"""A client, and a stall with the whole menu."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from libs.chassis import telemetry
from libs.chassis.settings import TelemetrySettings
from tests.support.menu import ROUTES
from tests.support.serving import served, stall


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def url() -> AsyncIterator[str]:
    telemetry.set_up("stall", TelemetrySettings())
    async with served(stall(ROUTES)) as base:
        yield base
