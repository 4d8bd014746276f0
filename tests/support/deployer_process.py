"""The deployer as the process it is, between pretended neighbours."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from aiohttp import web
from uuid_utils.compat import uuid7

from libs.chassis.auth import Signer, Verifier, service_authenticator
from libs.chassis.bus import Bus, connect
from libs.chassis.client import OrgRef, Peer, PeerUnavailableError, open_session
from libs.chassis.http import Route, build_app, principal
from libs.chassis.keys import generate_keys
from libs.chassis.postgres import Pool
from libs.chassis.problems import json_response
from libs.chassis.process import leftovers, stop_leftovers
from libs.contracts.builder import ImageBuilt
from libs.contracts.event import Event
from libs.contracts.gateway import RouteApplied
from tests.support import binaries
from tests.support.deployer import ADA, ORG, digest_of, manifest, resolved
from tests.support.envelopes import enveloped, message_of
from tests.support.nats import NatsServer
from tests.support.service_process import ServiceProcess, environment_of
from tests.support.serving import always_ready, served


@dataclass
class Neighbours:
    """Registry and builder, as far as the deployer calls them."""

    held: set[str] = field(default_factory=set)

    def routes(self) -> list[Route]:
        issuers = frozenset({"deployer"})
        hold = "/internal/holds/{id}"
        return [
            Route("GET", "/internal/bentos/{name}/{version}", self.bento, "bento.read", issuers),
            Route("PUT", hold, self.hold, "image.hold", issuers),
            Route("DELETE", hold, self.release, "image.hold", issuers),
        ]

    async def bento(self, request: web.Request) -> web.Response:
        assert principal(request).org_id == ORG
        version = request.match_info["version"]
        bento = resolved(f"gateway:{version}", manifest("Gateway>Inner", "Inner"))
        return json_response(bento)

    async def hold(self, request: web.Request) -> web.Response:
        self.held.add(request.match_info["id"])
        return json_response({})

    async def release(self, request: web.Request) -> web.Response:
        self.held.discard(request.match_info["id"])
        return json_response({})


@dataclass
class DeployerProcess(ServiceProcess):
    """Launched, killed and spoken to by the test."""

    service: ClassVar[str] = "deployer"
    pool: Pool = field(kw_only=True)
    api: Peer = field(kw_only=True)
    buses: dict[str, Bus] = field(kw_only=True)
    neighbours: Neighbours = field(kw_only=True)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=15)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """As the gateway calls; one that is starting is asked again."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return await self.api.json(
                        method,
                        path,
                        org=OrgRef(ORG, "default"),
                        body=body,
                        actor=f"user:{ADA.id}",
                        person=ADA,
                    )
                except PeerUnavailableError:
                    await asyncio.sleep(0.1)

    async def becomes(self, status: str) -> dict[str, Any]:
        """Our own view of the deployment, once it has that status."""
        async with asyncio.timeout(30):
            while True:
                [view] = (await self.call("GET", "/api/deployments"))["deployments"] or [{}]
                if view.get("status", "none") == status:
                    return dict(view)
                await asyncio.sleep(0.05)

    async def said(self, name: str, *, count: int = 1) -> dict[str, Any]:
        """The newest event of that name, when there are ``count`` on the bus."""
        event_type = f"dev.yokocho.deployment.{name}.v1"
        async with asyncio.timeout(30):
            while True:
                rows = await self.pool.fetch(
                    "SELECT body FROM outbox WHERE type = $1 AND published_at IS NOT NULL "
                    "ORDER BY id",
                    event_type,
                )
                if len(rows) >= count:
                    return dict(json.loads(rows[-1]["body"]))
                await asyncio.sleep(0.02)

    async def build(self) -> None:
        """What the builder says to the last request."""
        asked = (await self.said("requested"))["data"]
        event = ImageBuilt(
            build_id=uuid7(),
            bento_id=asked["bento_id"],
            bento_digest=asked["bento_digest"],
            kind="environment",
            uri=self.environment["TEST_IMAGE"],
            digest=digest_of("aa"),
            reused=True,
            seconds=0,
            revision_id=asked["revision_id"],
        )
        await self._publish("builder", event)

    async def apply(self, *, count: int = 1) -> None:
        """What the gateway says to the last routing."""
        routed = (await self.said("routed", count=count))["data"]
        event = RouteApplied(deployment_id=routed["deployment_id"], generation=routed["generation"])
        await self._publish("gateway", event)

    async def _publish(self, service: str, event: Event) -> None:
        message = message_of(enveloped(event, service, org=ORG))
        await self.buses[service].publish_batch([message], stream=service.upper())


@asynccontextmanager
async def deployer_process(
    folder: Path, *, image: Path, database_url: str, pool: Pool, nats: NatsServer
) -> AsyncIterator[DeployerProcess]:
    """Not started yet; whatever it leaves is ended."""
    generate_keys(folder / "keys", ["deployer", "gateway"])
    neighbours, marker, port = Neighbours(), f"test-{folder.name}", binaries.free_port()
    async with AsyncExitStack() as stack:
        urls, buses = {}, {}
        for name in ("registry", "builder"):
            verifier = Verifier(name, folder / "keys" / "public.json")
            app = build_app(
                neighbours.routes(),
                service=name,
                authenticate=service_authenticator(verifier),
                ready=always_ready,
            )
            urls[name] = await stack.enter_async_context(served(app))
        for name in ("builder", "gateway"):
            buses[name] = await stack.enter_async_context(await connect(nats.url(name), name))
            await buses[name].ensure_stream(name)
        session = await stack.enter_async_context(open_session())
        url = f"http://127.0.0.1:{port}"
        signer = Signer("gateway", folder / "keys" / "gateway.pem")
        made = DeployerProcess(
            _environment(
                folder, urls, port=port, marker=marker, database_url=database_url, nats=nats
            )
            | {"TEST_IMAGE": image.as_uri()},
            folder / "deployer.log",
            url,
            pool=pool,
            api=Peer(session, service="gateway", peer="deployer", base_url=url, signer=signer),
            buses=buses,
            neighbours=neighbours,
        )
        try:
            yield made
        finally:
            made.kill()
            await stop_leftovers(leftovers(marker), grace=timedelta(0))


def _environment(
    folder: Path,
    peers: dict[str, str],
    *,
    port: int,
    marker: str,
    database_url: str,
    nats: NatsServer,
) -> dict[str, str]:
    return environment_of(
        "deployer",
        folder / "keys",
        port=port,
        database_url=database_url,
        nats=nats,
        PEERS__REGISTRY=peers["registry"],
        PEERS__BUILDER=peers["builder"],
        ROOT=str(folder / "deployer"),
        MARKER=f"{marker}:deployment",
        PUBLIC_URL="http://127.0.0.1:7778",
        DRAIN_SECONDS="0.1",
    )


def pids(view: dict[str, Any]) -> list[int]:
    """Of every process of a deployment."""
    return [int(each["pid"]) for each in view["processes"]]


def revision_of(event: dict[str, Any]) -> UUID:
    return UUID(event["data"]["revision_id"])
