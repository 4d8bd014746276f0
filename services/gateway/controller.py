"""Loops that keep the data plane at the database's version, and the database at the deployer's."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from libs.chassis.client import OrgRef, Peer
from libs.chassis.errors import ServiceError
from libs.chassis.lifecycle import Wake
from libs.contracts.deployer import RouteTable, RouteView
from libs.contracts.types import PLATFORM_ORG
from services.gateway.dataplane import DataPlane
from services.gateway.domain import Route, State
from services.gateway.service.routes import Routes
from services.gateway.upstream import Replicas

POLL: Final = timedelta(milliseconds=250)
RENEW: Final = timedelta(seconds=3)
SETTLE: Final = timedelta(milliseconds=50)
"""Requests that chose by the old table have reached their upstream by then: connecting to a
neighbour takes far less, and whatever has arrived there is finished there."""
CORRECT: Final = timedelta(seconds=60)
_RETRY: Final = timedelta(seconds=1)
_LEAST: Final = timedelta(milliseconds=250)
_TIDY: Final = timedelta(hours=1)
_PLATFORM: Final = OrgRef(PLATFORM_ORG, "platform")

_log = structlog.get_logger()


class Follower:
    """Brings the data plane to the table's newest version, reports that, says ``route.applied``.

    Cut off from the database it changes nothing: the last table goes on serving.
    """

    def __init__(
        self, routes: Routes, plane: DataPlane, replicas: Replicas, *, name: str, changed: Wake
    ) -> None:
        self._routes = routes
        self._plane = plane
        self._replicas = replicas
        self._name = name
        self._changed = changed
        self._renewed_at = float("-inf")
        self._cut_off = False

    async def run(self) -> None:
        while True:
            try:
                await self.step()
            except ServiceError as error:
                if not self._cut_off:
                    _log.warning("dataplane.cut_off", code=error.code, version=self._plane.version)
                self._cut_off = True
            else:
                self._cut_off = False
            await self._changed.wait(POLL)

    async def step(self) -> None:
        """Catch up if there is anything new, and renew the lease when it is time."""
        moved = await self._routes.version() != self._plane.version
        if moved:
            await self._catch_up()
        now = asyncio.get_running_loop().time()
        if moved or now - self._renewed_at >= RENEW.total_seconds():
            await self._routes.renew(self._name, self._plane.version)
            self._renewed_at = now
            await self._routes.announce()
            await self._replicas.retain(self._plane.upstreams())

    async def leave(self) -> None:
        """Nobody has to wait for this data plane any more."""
        try:
            await self._routes.leave(self._name)
        except ServiceError as error:
            _log.warning("dataplane.lease_kept", code=error.code)

    async def _catch_up(self) -> None:
        change = await self._routes.changes(self._plane.version)
        self._plane.apply(change.routes, version=change.version, whole=change.whole)
        await asyncio.sleep(SETTLE.total_seconds())
        _log.info("dataplane.applied", version=change.version, routes=len(change.routes))


class Corrector:
    """Asks the deployer what is true: at start, when something looks wrong, and now and then."""

    def __init__(
        self, routes: Routes, deployer: Peer, *, doubt: Wake, on_change: Callable[[], None]
    ) -> None:
        self._routes = routes
        self._deployer = deployer
        self._doubt = doubt
        self._on_change = on_change

    async def run(self) -> None:
        while True:
            try:
                await self.step()
            except ServiceError as error:
                _log.warning("routes.uncorrected", code=error.code, detail=error.detail)
                await asyncio.sleep(_RETRY.total_seconds())
                continue
            await asyncio.sleep(_LEAST.total_seconds())
            await self._doubt.wait(CORRECT)

    async def step(self) -> int:
        """One question and its consequences; how many routes were wrong."""
        asked_at = await self._routes.version()
        answer = await self._deployer.json("GET", "/internal/routes", org=_PLATFORM)
        table = RouteTable.model_validate(answer)
        wrong = await self._routes.correct([seen(each) for each in table.routes], asked_at=asked_at)
        if wrong:
            _log.info("routes.corrected", routes=wrong)
            self._on_change()
        return wrong


async def tidy(routes: Routes) -> None:
    while True:
        try:
            await routes.tidy()
        except ServiceError as error:
            _log.warning("routes.untidied", code=error.code)
        await asyncio.sleep(_TIDY.total_seconds())


def seen(view: RouteView) -> Route:
    """The deployer's description of a route, in our words."""
    return Route(
        deployment_id=view.deployment_id,
        org_id=view.org_id,
        namespace=view.namespace,
        deployment=view.deployment,
        state=State(view.state),
        generation=view.generation,
        reason=view.reason,
        access_authorization=view.access_authorization,
        upstreams=tuple(each.url.rstrip("/") for each in view.upstreams),
    )
