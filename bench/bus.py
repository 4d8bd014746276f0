"""How long from an event's commit until a subscriber has it, end to end, at a steady rate.

A whole platform runs. The registry is stopped in its tracks (SIGSTOP) and ``bench.facts`` stands
in for it: same database, same bus user, same outbox and relay, but at a rate of our choosing. The
subscriber reads the live stream through the gateway.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from bench import machine
from bench.report import Row, median, percentile
from tests.support.platform import LocalPlatform

_RATE: Final = 200
_SECONDS: Final = 15
_WARM_UP: Final = 2 * _RATE
"""The first ones pay for connections and plans; they are left out."""


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        waits = asyncio.run(_waits(platform))
    milliseconds = [wait * 1000 for wait in waits]
    return [
        Row(
            f"commit → subscriber, p50 at {_RATE}/s", median(milliseconds), "ms", samples=len(waits)
        ),
        Row(
            f"commit → subscriber, p99 at {_RATE}/s",
            percentile(milliseconds, 0.99),
            "ms",
            target=50,
            samples=len(waits),
        ),
        Row("commit → subscriber, worst", max(milliseconds), "ms", samples=len(waits)),
    ]


async def _waits(platform: LocalPlatform) -> list[float]:
    count = _RATE * _SECONDS
    registry = platform.pid("registry")
    os.kill(registry, signal.SIGSTOP)
    try:
        async with _subscribed(platform) as arrivals, asyncio.timeout(_SECONDS * 4):
            writer = await _writer(platform, count)
            arrived = {}
            async for name, at in arrivals:
                arrived[name] = at
                if len(arrived) == count:
                    break
            said, _ = await writer.communicate()
    finally:
        os.kill(registry, signal.SIGCONT)
    committed: dict[str, float] = json.loads(said.splitlines()[-1])
    return [arrived[name] - at for name, at in committed.items()][_WARM_UP:]


async def _writer(platform: LocalPlatform, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.facts",
        str(platform.home),
        platform.events(type="tenant.created")[0]["orgid"],
        str(_RATE),
        str(count),
        stdout=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def _subscribed(
    platform: LocalPlatform,
) -> AsyncIterator[AsyncIterator[tuple[str, float]]]:
    """Event ids with the moment of their arrival; subscribed once this is entered."""
    headers = {"Authorization": f"Bearer {platform.token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    url = f"{platform.url}/api/events/stream?type=model.pushed"
    async with (
        aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=2**20) as session,
        session.get(url) as answer,
    ):
        answer.raise_for_status()
        await answer.content.readline()
        yield _arrivals(answer)


async def _arrivals(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, float]]:
    async for line in answer.content:
        if line.startswith(b"data:"):
            at = time.monotonic()
            yield json.loads(line.removeprefix(b"data:"))["id"], at
