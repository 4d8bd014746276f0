"""What belongs together: BentoML's v1 lists of one hop, the native graph, packages of locks."""

from typing import Any, Final

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response
from services.registry.domain import Kind, Node, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.service import UseCases
from services.registry.views import full_view, page

_DEEPEST: Final = 64


class LineageApi:
    def __init__(self, cases: UseCases) -> None:
        self._registry = cases.registry
        self._lineage = cases.lineage

    def routes(self) -> list[Route]:
        bento = "/api/v1/bento_repositories/{repository}/bentos/{version}"
        model = "/api/v1/model_repositories/{repository}/models/{version}"
        return [
            Route("GET", f"{bento}/models", self.models, action="bento.read"),
            Route("GET", f"{model}/bentos", self.bentos, action="model.read"),
            Route("GET", "/api/registry/lineage/{kind}/{name:.+}", self.graph, action="bento.read"),
            Route("GET", "/api/registry/packages/{name}", self.packages, action="bento.read"),
        ]

    async def models(self, request: web.Request) -> web.Response:
        _, bento = await self._found(request, Kind.BENTO)
        return _page(await self._lineage.models(bento))

    async def bentos(self, request: web.Request) -> web.Response:
        repository, model = await self._found(request, Kind.MODEL)
        found = await self._lineage.bentos(model.org_id, repository.name, model.version)
        return _page(found)

    async def graph(self, request: web.Request) -> web.Response:
        """``direction`` is ``up`` (what it is made of, the default) or ``down``; ``depth``."""
        asked = request.match_info
        direction = request.query.get("direction", "up")
        depth = request.query.get("depth", str(_DEEPEST))
        if direction not in {"up", "down"}:
            raise QueryRefusedError("'direction' is `up` or `down`")
        if not (depth.isascii() and depth.isdigit() and 1 <= int(depth[:6]) <= _DEEPEST):
            raise QueryRefusedError(f"'depth' must be a number from 1 to {_DEEPEST}")
        if "\0" in asked["name"] or "\0" in asked["kind"]:
            raise QueryRefusedError("a NUL is nowhere to be found")
        graph = await self._lineage.graph(
            principal(request).org_id,
            Node(asked["kind"], asked["name"]),
            upwards=direction == "up",
            depth=int(depth),
        )
        edges = [{"parent": _node(each.parent), "child": _node(each.child)} for each in graph.edges]
        return json_response({"edges": edges, "truncated": graph.truncated})

    async def packages(self, request: web.Request) -> web.Response:
        """Bentos whose lock has the package; ``specifier`` as in requirements: ``<2.0``."""
        name = request.match_info["name"]
        if "\0" in name:
            raise QueryRefusedError("a NUL is nowhere to be found")
        found = await self._lineage.with_package(
            principal(request).org_id, name, request.query.get("specifier", "")
        )
        items = [
            {"bento": bento, "version": version, "package_version": package}
            for bento, version, package in found
        ]
        return json_response({"items": items})

    async def _found(self, request: web.Request, kind: Kind) -> tuple[Repository, Version]:
        asked = request.match_info
        org_id = principal(request).org_id
        repository = await self._registry.repository(org_id, kind, asked["repository"])
        return repository, await self._registry.find(repository, asked["version"])


def _node(node: Node) -> dict[str, Any]:
    return {"kind": node.kind, "name": node.name}


def _page(found: list[tuple[Repository, Version]]) -> web.Response:
    items = [full_view(*each) for each in found]
    return json_response(page(items, start=0, total=len(items)))
