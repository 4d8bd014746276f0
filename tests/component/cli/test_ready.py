"""Whether services are ready is asked where each of them listens."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from cli.home import INTERNAL, SERVICES, Home, Identity
from cli.ports import listen
from cli.supervisor.forks import Forks
from cli.supervisor.layout import Layout
from cli.supervisor.recipes import service_recipes


async def _yes(_: web.BaseRequest) -> web.Response:
    return web.Response()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"],  # noqa: S104 - on ports of the test's own
)
async def test_the_gateway_is_asked_on_its_own_address_and_others_on_loopback(
    host: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        runner = web.ServerRunner(web.Server(_yes))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        ports = dict.fromkeys(INTERNAL, 1)
        for name in SERVICES:
            opened = listen(host if name == "gateway" else "127.0.0.1", 0)
            ports[name] = opened.getsockname()[1]
            await web.SockSite(runner, opened).start()
        identity = Identity("home", port=ports.pop("gateway"), host=host, ports=ports)
        words = dict.fromkeys(SERVICES, "word")
        layout = Layout(Home(tmp_path), identity, "m", {"postgres": words, "nats": words})

        recipes = service_recipes(layout, Forks(Home(tmp_path), marker="m", environment={}), {})

        assert {each.name: await each.ready() for each in recipes} == dict.fromkeys(SERVICES, True)
