"""Our own view of deployments: processes, reasons, logs; and the routes, for the gateway."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, principal, stream_response
from libs.chassis.problems import json_response
from libs.chassis.process import follow, tail
from libs.contracts.deployer import RouteTable
from services.deployer import views
from services.deployer.domain.deployment import Replica, Revision
from services.deployer.domain.names import CLUSTER, Address
from services.deployer.domain.selection import Selection
from services.deployer.errors import (
    DeploymentInvalidError,
    DeploymentNotFoundError,
    FilterInvalidError,
)
from services.deployer.service import Reading, Shown
from services.deployer.targets import Target

_REGISTRY: Final = frozenset({"registry"})
_LINES: Final = 100
_MOST_LINES: Final = 10_000
_YES: Final = frozenset({"1", "true", "yes"})


class OwnApi:
    def __init__(self, reading: Reading, target: Target, *, public_url: str) -> None:
        self._reading = reading
        self._target = target
        self._public_url = public_url

    def routes(self) -> list[Route]:
        base = "/api/deployments"
        one = f"{base}/{{namespace}}/{{name}}"
        return [
            Route("GET", base, self.query, action="deployment.read"),
            Route("GET", one, self.get, action="deployment.read"),
            Route("GET", f"{one}/logs", self.logs, action="deployment.read", stream=True),
            Route("GET", "/internal/routes", self.table, action="route.read"),
            Route(
                "GET",
                "/internal/revisions/{revision_id}",
                self.revision,
                action="revision.read",
                issuers=_REGISTRY,
            ),
        ]

    async def revision(self, request: web.Request) -> web.Response:
        """Whether somebody still needs what it holds: 404 once it is over."""
        wanted = request.match_info["revision_id"]
        if not await self._reading.is_live(wanted, principal(request).org_id):
            raise DeploymentNotFoundError(f"revision {wanted[:80]}")
        return json_response({"revision_id": wanted})

    async def query(self, request: web.Request) -> web.Response:
        page = await self._reading.page(principal(request).org_id, Selection())
        return json_response({"deployments": [await self._overview(each) for each in page.items]})

    async def get(self, request: web.Request) -> web.Response:
        return json_response(await self._overview(await self._named(request)))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The end of one replica's log, followed if asked; by default the entry service's first."""
        shown = await self._named(request)
        lines = _number(request, "lines", _LINES)
        path = await self._log_path(request, shown)
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        if request.query.get("follow", "").lower() in _YES:
            return await stream_response(request, _followed(path, lines), headers=headers)
        return web.Response(text=tail(path, lines), headers=headers)

    async def table(self, _: web.Request) -> web.Response:
        return json_response(RouteTable(routes=await self._reading.routes()))

    async def _named(self, request: web.Request) -> Shown:
        where = f"{request.match_info['namespace']}.{request.match_info['name']}"
        try:
            address = Address.parse(where)
        except DeploymentInvalidError:
            raise DeploymentNotFoundError(where[:140]) from None
        return await self._reading.one(principal(request).org_id, CLUSTER, address)

    async def _overview(self, shown: Shown) -> dict[str, Any]:
        return views.overview(
            shown.deployment,
            shown.latest,
            shown.snapshot,
            processes=await self._processes(shown.deployment.id),
            unenforced=self._target.unenforced,
            public_url=self._public_url,
        )

    async def _processes(self, deployment_id: UUID) -> list[dict[str, Any]]:
        numbers = {each.id: each.number for each in await self._reading.live(deployment_id)}
        processes = []
        for replica in await self._reading.replicas(deployment_id):
            glance = self._target.glance(replica)
            processes.append(
                {
                    "service": replica.service,
                    "replica": replica.position,
                    "revision": numbers.get(replica.revision_id),
                    "port": replica.port,
                    "pid": glance.pid,
                    "state": glance.state,
                    "restarts": glance.restarts,
                    "log": str(self._target.log_of(replica)),
                }
            )
        return processes

    async def _log_path(self, request: web.Request, shown: Shown) -> Path:
        """Of the newest revision that has one."""
        latest = shown.latest
        if latest is None:
            raise FilterInvalidError("service", "nothing has run yet")
        service = _service(request, latest)
        position = _number(request, "replica", 0)
        older = await self._reading.live(shown.deployment.id)
        paths = [self._target.log_of(_place(each, service, position)) for each in (latest, *older)]
        return next((path for path in paths if path.exists()), paths[0])


async def _followed(path: Path, lines: int) -> AsyncGenerator[bytes, None]:
    async for line in follow(path, lines=lines):
        yield f"{line}\n".encode()


def _service(request: web.Request, latest: Revision) -> str:
    """The one that is asked for, else the entry service."""
    names = [each.name for each in latest.layout]
    service = request.query.get("service") or names[-1]
    if service not in names:
        raise FilterInvalidError("service", f"'{service[:80]}' is none of {', '.join(names)}")
    return service


def _place(revision: Revision, service: str, position: int) -> Replica:
    """Logs are known by their place: the process may be gone."""
    return Replica(UUID(int=0), revision.deployment_id, revision.id, service, position, port=0)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or int(text[:9]) > _MOST_LINES:
        raise FilterInvalidError(name, f"'{text[:40]}' is no number up to {_MOST_LINES}")
    return int(text)
