"""Loops that run for as long as a test needs them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta


@asynccontextmanager
async def running(*loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Start ``loops``; cancel and await them at the end. One that dies fails the test."""

    async def run(loop: Callable[[], Awaitable[None]]) -> None:
        await loop()

    tasks = [asyncio.create_task(run(loop)) for loop in loops]
    try:
        yield
    finally:
        died = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            if task not in died:
                with suppress(asyncio.CancelledError):
                    await task
    for task in died:
        task.result()
        raise AssertionError("a loop ended")


async def eventually(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool],
    *,
    within: timedelta = timedelta(seconds=15),
) -> None:
    """Return as soon as ``condition`` holds; fail when it does not in time."""
    async with asyncio.timeout(within.total_seconds()):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
