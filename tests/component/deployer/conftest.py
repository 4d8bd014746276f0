"""The deployer whole: HTTP and messages in, a real database, processes that tests decide."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from libs.chassis.context import Cause, bound
from libs.chassis.http import Readiness, build_app
from libs.chassis.postgres import Database, Pool
from libs.chassis.sealing import Sealer, generate_sealing_key
from libs.contracts.builder import ImageBuilt, ImageFailed
from libs.contracts.event import Envelope, Event
from libs.contracts.gateway import RouteApplied
from libs.contracts.identity import Principal
from services.deployer.consumers import ImagesConsumer, RoutesConsumer
from services.deployer.controller import Controller
from services.deployer.http import Asked, routes
from services.deployer.service import Deployments, Kind, Reading, Rollouts, Secrets, Trust, Tx
from tests.support.deployer import CALLER, ORG, Bentos, Keeper, Processes, digest_of
from tests.support.envelopes import enveloped
from tests.support.serving import served

PUBLIC = "http://127.0.0.1:7778"


@dataclass
class House:
    """The deployer and everything around it."""

    url: str
    session: aiohttp.ClientSession
    pool: Pool
    bentos: Bentos
    keeper: Keeper
    processes: Processes
    rollouts: Rollouts
    secrets: Secrets
    keys: Path
    woken: list[UUID]
    trust: Trust | None
    controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, f"{self.url}{path}", data=data) as answer:
            return answer.status, await answer.json(content_type=None)

    async def deploy(self, bento: str, name: str, **changes: object) -> dict[str, Any]:
        status, view = await self.call(
            "POST", "/api/v2/deployments?cluster=", {"bento": bento, "name": name, **changes}
        )
        assert status == 200, view
        return dict(view)

    async def status(self, name: str) -> str:
        answer, view = await self.call("GET", f"/api/v2/deployments/{name}?cluster=")
        return str(view["status"]) if answer == 200 else "none"

    async def said(self) -> list[dict[str, Any]]:
        """Everything in the outbox, in order."""
        rows = await self.pool.fetch("SELECT body FROM outbox ORDER BY id")
        return [json.loads(row["body"]) for row in rows]

    async def names_said(self) -> list[str]:
        return [
            each["type"].removeprefix("dev.yokocho.deployment.")[:-3] for each in await self.said()
        ]

    async def last(self, name: str) -> dict[str, Any]:
        """The newest event of that name."""
        wanted = f"dev.yokocho.deployment.{name}.v1"
        return next(each for each in reversed(await self.said()) if each["type"] == wanted)

    async def hear(self, event: Event) -> None:
        """As the bus delivers it, twice: everything is delivered at least once."""
        envelope: Envelope[Any] = enveloped(event, "test", org=ORG)
        routes = isinstance(event, RouteApplied)
        made = RoutesConsumer if routes else ImagesConsumer
        consumer = made(self.rollouts, consumer="test-consumer-v1")
        cause = Cause("service:deployer", ORG, "test", envelope.id)
        with bound(cause):
            await consumer(envelope, b"")
            await consumer(envelope, b"")

    async def built(self, *, digest: str = "", folder: str | None = None) -> None:
        """The image that was asked for last is there."""
        asked = (await self.last("requested"))["data"]
        await self.hear(
            ImageBuilt(
                build_id=UUID(int=4),
                bento_id=asked["bento_id"],
                bento_digest=asked["bento_digest"],
                kind=asked["kind"],
                uri="file:///images/1" if asked["kind"] == "environment" else "oci://fox:v1",
                folder=folder,
                digest=digest or digest_of("aa"),
                reused=False,
                seconds=1.0,
                revision_id=asked["revision_id"],
            )
        )

    async def not_built(self, reason: str) -> None:
        asked = (await self.last("requested"))["data"]
        await self.hear(
            ImageFailed(
                build_id=UUID(int=4),
                bento_id=asked["bento_id"],
                bento_digest=asked["bento_digest"],
                code="resolution-failed",
                reason=reason,
                revision_id=asked["revision_id"],
            )
        )

    async def applied(self) -> None:
        """Every data plane follows the last routing."""
        routed = (await self.last("routed"))["data"]
        await self.hear(
            RouteApplied(deployment_id=routed["deployment_id"], generation=routed["generation"])
        )

    def restart(self) -> None:
        """The controller as it begins: it remembers nothing."""
        self.controller = Controller(
            self.rollouts,
            self.processes,
            secrets=self.secrets,
            keeper=self.keeper,
            shelf=self.bentos,
            drain=timedelta(0),
            trust=self.trust,
        )

    async def settle(self, *, turns: int = 20) -> None:
        """Look and act until there is nothing to do but to wait for somebody else."""
        for _ in range(turns):
            for each in await self.rollouts.active():
                await self.controller.turn(each)

    async def run(self, bento: str, name: str, **changes: object) -> None:
        """From nothing to running."""
        await self.deploy(bento, name, **changes)
        await self.built()
        await self.settle()
        await self.applied()
        await self.settle()
        assert await self.status(name) == "running"


@pytest.fixture
def principal() -> Principal:
    return CALLER


@pytest.fixture
def isolated() -> bool:
    """Whether what runs is: a test of where it is parametrizes this."""
    return False


@pytest.fixture
def kind() -> Kind:
    """Of images: a test of the mode ``image`` parametrizes this."""
    return "environment"


@pytest.fixture
def patience() -> timedelta | None:
    """Where only signed images run, how long a signature may take."""
    return None


@pytest.fixture
async def house(
    pool: Pool, tmp_path: Path, kind: Kind, patience: timedelta | None, *, isolated: bool
) -> AsyncIterator[House]:
    bentos, keeper, processes = Bentos(), Keeper(), Processes(tmp_path)
    database = Database(pool, Tx.bind)
    woken: list[UUID] = []
    rollouts = Rollouts(database, woken=woken.append, kind=kind)
    keys = tmp_path / "sealing"
    generate_sealing_key(keys)
    secrets = Secrets(database, Sealer(file=keys))
    trust = None if patience is None else Trust(keeper, patience=patience)
    deployments = Deployments(
        database, bentos, key=b"k" * 32, woken=woken.append, isolated=isolated, kind=kind
    )
    reading = Reading(database)

    async def ready() -> Readiness:
        return Readiness()

    every = routes(Asked(deployments, reading, secrets), processes, public_url=PUBLIC)
    app = build_app(every, service="deployer", authenticate=_caller, ready=ready)
    async with served(app) as url, aiohttp.ClientSession() as session:
        yield House(
            url,
            session,
            pool,
            bentos,
            keeper,
            processes,
            rollouts,
            secrets,
            keys,
            woken,
            trust,
        )


async def _caller(request: web.Request) -> Principal:
    return CALLER.model_copy(
        update={
            "org_id": UUID(request.headers.get("X-Test-Org", str(ORG))),
            "issuer": request.headers.get("X-Test-Issuer", "gateway"),
        }
    )
