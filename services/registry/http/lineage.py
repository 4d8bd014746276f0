"""What belongs together: BentoML's v1 lists of one hop, the native graph, packages of locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web
from pydantic import Field

from libs.chassis.http import Route, principal
from libs.chassis.openapi import Operation, Query
from libs.chassis.problems import json_response, read_query
from services.registry.domain import Edge, Kind, Node, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.service import UseCases
from services.registry.views import full_view, page

_DEEPEST: Final = 64


class GraphQuery(Query):
    direction: Literal["up", "down"] = Field(
        "up", description="`up`: what it is made of; `down`: what is made of it."
    )
    depth: int = Field(_DEEPEST, ge=1, le=_DEEPEST, description="Steps, at most.")


class PackageQuery(Query):
    specifier: str = Field("", max_length=1000, description="As in requirements: `<2.0`.")


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """``truncated``: there is more than is shown."""

    edges: Sequence[Edge]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Containing:
    """A version of a bento, and which version of the package it has."""

    bento: str
    version: str
    package_version: str


@dataclass(frozen=True, slots=True)
class BentosWithPackage:
    """Newest first."""

    items: list[Containing]


class LineageApi:
    def __init__(self, cases: UseCases) -> None:
        self._registry = cases.registry
        self._lineage = cases.lineage

    def routes(self) -> list[Route]:
        bento = "/api/v1/bento_repositories/{repository}/bentos/{version}"
        model = "/api/v1/model_repositories/{repository}/models/{version}"
        graph = "/api/registry/lineage/{kind}/{name:.+}"
        packages = "/api/registry/packages/{name}"
        return [
            Route("GET", f"{bento}/models", self.models, action="bento.read"),
            Route("GET", f"{model}/bentos", self.bentos, action="model.read"),
            Route("GET", graph, self.graph, action="bento.read", operation=_GRAPH),
            Route("GET", packages, self.packages, action="bento.read", operation=_PACKAGES),
        ]

    async def models(self, request: web.Request) -> web.Response:
        _, bento = await self._found(request, Kind.BENTO)
        return _page(await self._lineage.models(bento))

    async def bentos(self, request: web.Request) -> web.Response:
        repository, model = await self._found(request, Kind.MODEL)
        found = await self._lineage.bentos(model.org_id, repository.name, model.version)
        return _page(found)

    async def graph(self, request: web.Request) -> web.Response:
        asked, wanted = request.match_info, read_query(request, GraphQuery)
        if "\0" in asked["name"] or "\0" in asked["kind"]:
            raise QueryRefusedError("a NUL is nowhere to be found")
        graph = await self._lineage.graph(
            principal(request).org_id,
            Node(asked["kind"], asked["name"]),
            upwards=wanted.direction == "up",
            depth=wanted.depth,
        )
        return json_response(LineageGraph(graph.edges, graph.truncated))

    async def packages(self, request: web.Request) -> web.Response:
        name, wanted = request.match_info["name"], read_query(request, PackageQuery)
        if "\0" in name:
            raise QueryRefusedError("a NUL is nowhere to be found")
        found = await self._lineage.with_package(principal(request).org_id, name, wanted.specifier)
        return json_response(BentosWithPackage([Containing(*each) for each in found]))

    async def _found(self, request: web.Request, kind: Kind) -> tuple[Repository, Version]:
        asked = request.match_info
        org_id = principal(request).org_id
        repository = await self._registry.repository(org_id, kind, asked["repository"])
        return repository, await self._registry.find(repository, asked["version"])


def _page(found: list[tuple[Repository, Version]]) -> web.Response:
    items = [full_view(*each) for each in found]
    return json_response(page(items, start=0, total=len(items)))


_GRAPH = Operation(
    "lineage",
    "What a dataset, commit, run, model, bento, build or revision is made of, or went into",
    query=GraphQuery,
    answer=LineageGraph,
)
_PACKAGES = Operation(
    "bentos_with_package",
    "Bentos whose lock has a package, in versions that fit",
    query=PackageQuery,
    answer=BentosWithPackage,
)
