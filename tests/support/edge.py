"""The gateway as it is wired, between a deployer of the test's own and models on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import aiohttp
from aiohttp import web

from libs.chassis.auth import Verifier, service_authenticator
from libs.chassis.http import Route, build_app
from libs.chassis.keys import generate_keys
from libs.chassis.listener import Server
from libs.chassis.problems import Form, json_response
from libs.contracts.deployer import RouteState, RouteTable, RouteView, Upstream
from services.gateway.settings import Settings
from services.gateway.wiring import Parts, assemble
from tests.support.serving import always_ready, served

TOKEN: Final = "yok_" + "5" * 48
OURS: Final = {"X-YATAI-API-TOKEN": TOKEN}
_DRAIN: Final = timedelta(seconds=1)
_SERVICES: Final = ("registry", "builder", "deployer", "gateway", "events")


@dataclass
class Deployer:
    """What the gateway asks of the deployer: its routes."""

    routes: list[RouteView] = field(default_factory=list)

    async def table(self, _: web.Request) -> web.Response:
        return json_response(RouteTable(routes=tuple(self.routes)))

    def put(
        self, name: str, *upstreams: str, state: RouteState = "serving", org: int = 1, **more: Any
    ) -> None:
        """A deployment of the default namespace, with one process at each of ``upstreams``."""
        told = {"access_authorization": False, **more}
        self.routes.append(
            RouteView(
                org_id=UUID(int=org),
                deployment_id=uuid4(),
                namespace="default",
                deployment=name,
                generation=1,
                state=state,
                upstreams=tuple(Upstream(url=each) for each in upstreams),
                **told,
            )
        )


@dataclass
class Gateway:
    """Both public listeners, and somebody who calls them."""

    api: str
    endpoints: str
    session: aiohttp.ClientSession

    def at(self, name: str, path: str = "/") -> str:
        return f"{self.endpoints}/default/{name}{path}"


@dataclass
class Surroundings:
    """Where a gateway may be started, more than once."""

    folder: Path
    database_url: str
    bus_url: str
    deployer: Deployer = field(default_factory=Deployer)
    services: dict[str, list[Route]] = field(default_factory=dict)
    """Routes of services that the API forwards to; one that is not here is absent."""
    forms: dict[str, Form] = field(default_factory=dict)
    """How they refuse, where they do so in a protocol's own form."""

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Gateway]:
        """Up, and with the deployer's routes."""
        keys = self.folder / "keys"
        generate_keys(keys, _SERVICES)
        async with (
            self._peers(keys) as peers,
            assemble(self._settings(keys, peers)) as parts,
            _serving(parts) as (api, endpoints),
            aiohttp.ClientSession(auto_decompress=False) as session,
        ):
            await _until_loaded(
                session, endpoints, [each.deployment for each in self.deployer.routes]
            )
            yield Gateway(api, endpoints, session)

    def token_file(self, *, mode: int = 0o600) -> Path:
        file = self.folder / "token"
        if not file.exists():
            file.touch(mode=mode)
            file.write_text(TOKEN)
        return file

    def _settings(self, keys: Path, peers: dict[str, str]) -> Settings:
        told: dict[str, Any] = {
            "postgres": {"dsn": self.database_url},
            "bus": {"url": self.bus_url},
            "http": {"port": 0},
            "endpoints_port": 0,
            "identity": {
                "key_file": keys / "gateway.pem",
                "public_keys_file": keys / "public.json",
            },
            "peers": peers,
            "bootstrap_token_file": self.token_file(),
            "replica": "test",
        }
        return Settings(**told)

    @asynccontextmanager
    async def _peers(self, keys: Path) -> AsyncIterator[dict[str, str]]:
        table = Route("GET", "/internal/routes", self.deployer.table, "route.read")
        routes = {**self.services, "deployer": [table, *self.services.get("deployer", ())]}
        async with AsyncExitStack() as stack:
            yield {
                name: await stack.enter_async_context(
                    served(
                        build_app(
                            each,
                            service=name,
                            authenticate=service_authenticator(
                                Verifier(name, keys / "public.json")
                            ),
                            ready=always_ready,
                            forms=self.forms,
                        )
                    )
                )
                for name, each in routes.items()
            }


@asynccontextmanager
async def _serving(parts: Parts) -> AsyncIterator[list[str]]:
    servers = [Server(each) for each in parts.listeners]

    async def forever(run: Callable[[], Awaitable[None]]) -> None:
        await run()

    loops = [asyncio.create_task(forever(each)) for each in parts.background.values()]
    try:
        for each in servers:
            await each.start()
        yield [f"http://{each.address}" for each in servers]
    finally:
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        for each in servers:
            await each.drain(_DRAIN)
            await each.close()


async def _until_loaded(
    session: aiohttp.ClientSession, endpoints: str, names: Iterable[str]
) -> None:
    """Without the slash an endpoint answers by itself: no model hears of this."""
    async with asyncio.timeout(10):
        for name in ("none", *names):
            unknown = "routes-loading" if name == "none" else "endpoint-unknown"
            while True:
                async with session.get(
                    f"{endpoints}/default/{name}", allow_redirects=False
                ) as answer:
                    if unknown not in await answer.text():
                        break
                await asyncio.sleep(0.02)


@asynccontextmanager
async def models(*apps: web.Application) -> AsyncIterator[list[str]]:
    """Each application on a port of its own, as a model's process is; yields their URLs."""
    runners = [web.AppRunner(each, access_log=None, shutdown_timeout=0.2) for each in apps]
    try:
        urls = []
        for runner in runners:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield urls
    finally:
        for runner in runners:
            await runner.cleanup()


def model(routes: Iterable[web.RouteDef]) -> web.Application:
    app = web.Application(client_max_size=2**30)
    app.add_routes(routes)
    return app
