"""BentoML's v2 deployment API. Only 200 is success, and ``?cluster=`` means "not given"."""

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from services.deployer import views
from services.deployer.domain.names import Address, known_cluster
from services.deployer.domain.selection import selection_of
from services.deployer.errors import (
    DeploymentInvalidError,
    DeploymentNotFoundError,
    FilterInvalidError,
)
from services.deployer.http.bodies import CreateBody, DeploymentBody
from services.deployer.service import Deployments, Reading, Shown

_BASE: Final = "/api/v2/deployments"
_DIGITS: Final = 9


class BentoApi:
    def __init__(self, deployments: Deployments, reading: Reading, *, public_url: str) -> None:
        self._deployments = deployments
        self._reading = reading
        self._public_url = public_url

    def routes(self) -> list[Route]:
        one = f"{_BASE}/{{name}}"
        return [
            Route("POST", _BASE, self.create, action="deployment.create"),
            Route("GET", _BASE, self.query, action="deployment.read"),
            Route("GET", one, self.get, action="deployment.read"),
            Route("PUT", one, self.update, action="deployment.update"),
            Route("DELETE", one, self.delete, action="deployment.delete"),
            Route("POST", f"{one}/terminate", self.terminate, action="deployment.terminate"),
            Route("PUT", f"{one}/void_update", self.void_update, action="deployment.update"),
            Route("GET", "/api/v1/instance_types", self.instance_types, action="cluster.read"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        cluster = _cluster(request)
        order = (await read_body(request, CreateBody)).named_order()
        made = await self._deployments.create(order, cluster=cluster, principal=principal(request))
        return await self._answer(made)

    async def get(self, request: web.Request) -> web.Response:
        return json_response(self._view(await self._named(request)))

    async def query(self, request: web.Request) -> web.Response:
        _cluster(request)
        selection = selection_of(
            request.query.get("q", ""),
            request.query.get("search", ""),
            start=_number(request, "start") or 0,
            count=_number(request, "count"),
        )
        page = await self._reading.page(principal(request).org_id, selection)
        items = [self._view(each) for each in page.items]
        view = views.list_view(items, start=page.start, count=page.count, total=page.total)
        return json_response(view)

    async def update(self, request: web.Request) -> web.Response:
        cluster, address = _cluster(request), _address(request)
        order = (await read_body(request, DeploymentBody)).order()
        changed = await self._deployments.update(
            address, order, cluster=cluster, principal=principal(request)
        )
        return await self._answer(changed)

    async def void_update(self, request: web.Request) -> web.Response:
        changed = await self._deployments.repeat(
            _address(request),
            cluster=_cluster(request),
            principal=principal(request),
        )
        return await self._answer(changed)

    async def terminate(self, request: web.Request) -> web.Response:
        changed = await self._deployments.terminate(
            _address(request),
            cluster=_cluster(request),
            principal=principal(request),
        )
        return await self._answer(changed)

    async def delete(self, request: web.Request) -> web.Response:
        """The client wants the whole deployment in the answer, even when it is no more."""
        before = await self._named(request)
        going = await self._deployments.delete(
            before.deployment.address, cluster=_cluster(request), principal=principal(request)
        )
        after = await self._reading.by_id(going) if going is not None else None
        return json_response(self._view(after or before))

    async def instance_types(self, request: web.Request) -> web.Response:
        _cluster(request)
        return json_response([])

    async def _named(self, request: web.Request) -> Shown:
        address = _address(request)
        return await self._reading.one(principal(request).org_id, _cluster(request), address)

    async def _answer(self, deployment_id: UUID) -> web.Response:
        shown = await self._reading.by_id(deployment_id)
        if shown is None:
            raise DeploymentNotFoundError(str(deployment_id))
        return json_response(self._view(shown))

    def _view(self, shown: Shown) -> dict[str, Any]:
        return views.deployment_view(
            shown.deployment, shown.latest, shown.snapshot, public_url=self._public_url
        )


def _address(request: web.Request) -> Address:
    """What cannot be a name is no deployment's."""
    name = request.match_info["name"]
    try:
        return Address.parse(name)
    except DeploymentInvalidError:
        raise DeploymentNotFoundError(name[:140]) from None


def _cluster(request: web.Request) -> str:
    return known_cluster(request.query.get("cluster", ""))


def _number(request: web.Request, name: str) -> int | None:
    """Empty means absent."""
    text = request.query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise FilterInvalidError(name, f"'{text[:40]}' is no number")
    return int(text)
