"""A process from its first request to its last: what a stop finishes, and what a crash says."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Final

import aiohttp
import pytest

from libs.chassis import lifecycle
from libs.chassis.lifecycle import Wake

PROGRAM: Final = """
import asyncio, sys, time
from datetime import timedelta
from aiohttp import web
from libs.chassis import lifecycle, telemetry
from libs.chassis.http import Route, principal
from libs.chassis.settings import SettingsError, TelemetrySettings
from tests.support.serving import stall

async def slow(request):
    await asyncio.sleep(0.5)
    return web.Response(text="whole")

async def upload(request):
    return web.Response(text=str(len(await request.read())))

async def forever(request):
    await asyncio.sleep(3600)

async def follow(request):
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"tick ")
        await asyncio.sleep(0.05)

async def steady():
    await asyncio.sleep(3600)

async def die():
    await asyncio.sleep(0.2)
    raise RuntimeError("the noodles burnt")

async def give_up():
    await asyncio.sleep(0.2)

async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def polite():
    while not await lifecycle.sleep_or_stop(timedelta(hours=1)):
        pass

async def said_goodbye():
    print("goodbye", flush=True)

ROUTES = [
    Route("GET", "/slow", slow, action="a.read"),
    Route("POST", "/upload", upload, action="a.create"),
    Route("GET", "/forever", forever, action="a.read"),
    Route("GET", "/follow", follow, action="a.read", stream=True),
]

async def main():
    if "misconfigured" in sys.argv:
        raise SettingsError("YOKOCHO_STALL_BATHC: no such setting")
    socket = lifecycle.listen("127.0.0.1", 0)
    print(socket.getsockname()[1], flush=True)
    await lifecycle.serve(
        stall(ROUTES),
        sites=[socket],
        background={name: globals()[name] for name in sys.argv[1:]},
        on_stop=said_goodbye,
    )

telemetry.set_up("stall", TelemetrySettings())
sys.exit(lifecycle.run(main()))
"""


@asynccontextmanager
async def process(*loops: str) -> AsyncIterator[tuple[Process, str]]:
    """Yields the running program and its base URL."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *loops, stdout=PIPE, stderr=PIPE
    )
    assert child.stdout is not None
    try:
        port = (await child.stdout.readline()).decode().strip()
        while port.isdigit() and b"process.serving" not in await child.stdout.readline():
            pass
        yield child, f"http://127.0.0.1:{port}"
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def lines(child: Process) -> list[str]:
    """All that is left to be said."""
    out, _ = await child.communicate()
    return out.decode().splitlines()


def events(said: list[str]) -> list[str]:
    return [json.loads(line)["event"] for line in said if line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_finishes_what_is_in_flight(number: signal.Signals) -> None:
    async with process("steady", "polite") as (child, url), aiohttp.ClientSession() as session:
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(text(session, f"{url}/slow")) for _ in range(5)]
            await asyncio.sleep(0.2)
            child.send_signal(number)
        said = await lines(child)

    assert [answer.result() for answer in answers] == ["whole"] * 5
    assert child.returncode == 0
    assert "goodbye" in said
    assert events(said).count("http.request") == 5


async def text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


async def broken_off(session: aiohttp.ClientSession, url: str) -> bool:
    with suppress(aiohttp.ClientConnectionError):
        await text(session, url)
        return False
    return True


async def test_a_stop_lets_an_upload_arrive() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        child.terminate()
        for _ in range(5):
            await asyncio.sleep(0.1)
            yield b"x" * 1000

    async with (
        process() as (child, url),
        aiohttp.ClientSession() as session,
        session.post(f"{url}/upload", data=body()) as response,
    ):
        assert await response.text() == "6000"
        assert await child.wait() == 0


async def test_a_stop_accepts_nothing_new() -> None:
    async with process() as (child, url), aiohttp.ClientSession() as session:
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(text(session, f"{url}/slow"))
            await asyncio.sleep(0.2)
            child.terminate()
            await asyncio.sleep(0.1)
            with pytest.raises(aiohttp.ClientConnectionError):
                await text(session, f"{url}/slow")
        assert answer.result() == "whole"


async def test_a_stop_cuts_what_has_no_end() -> None:
    async with process() as (child, url), aiohttp.ClientSession() as session:
        begun = monotonic()
        async with session.get(f"{url}/follow") as response:
            await response.content.readexactly(5)
            child.terminate()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert await child.wait() == 0

    assert monotonic() - begun < 3


async def test_a_stop_takes_ten_seconds_at_most_whatever_hangs() -> None:
    async with process("stubborn") as (child, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/livez") as response:
            assert response.status == 200
        begun = monotonic()
        async with asyncio.TaskGroup() as group:
            hanging = group.create_task(broken_off(session, f"{url}/forever"))
            await asyncio.sleep(0.1)
            child.terminate()
        said = await lines(child)

    assert hanging.result()
    assert monotonic() - begun < 10.5
    assert child.returncode == 1
    assert "http.drain_overran" in events(said)
    assert "process.stop_overran" in events(said)


@pytest.mark.parametrize("loop", ["die", "give_up"])
async def test_a_dead_loop_is_a_dead_process(loop: str) -> None:
    async with process("steady", loop) as (child, _):
        said = await lines(child)

    assert child.returncode == 1
    assert "loop.died" in events(said)
    assert "process.crashed" in events(said)


async def test_a_wrong_environment_is_said_without_a_stack() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "misconfigured", stdout=PIPE, stderr=PIPE
    )
    _, err = await child.communicate()

    assert child.returncode == 2
    assert err == b"YOKOCHO_STALL_BATHC: no such setting\n"


async def test_a_wake_ends_a_wait_once() -> None:
    wake = Wake()
    wake.set()
    wake.set()

    assert await wake.wait(timedelta(seconds=5))
    assert not await wake.wait(timedelta(milliseconds=10))


async def test_outside_of_a_service_sleep_is_just_sleep() -> None:
    assert not await lifecycle.sleep_or_stop(timedelta(milliseconds=1))


def test_an_inherited_socket_is_the_same_socket() -> None:
    with lifecycle.listen("127.0.0.1", 0) as original:
        adopted = lifecycle.inherited(original.dup().detach())

        assert adopted.getsockname() == original.getsockname()
        adopted.close()
