"""BentoML's v1 lists of what belongs together: a bento's models, a model's bentos."""

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response
from services.registry.domain import Kind, Repository, Version
from services.registry.service import Lineage, Registry
from services.registry.views import full_view, page


class LineageApi:
    def __init__(self, registry: Registry, lineage: Lineage) -> None:
        self._registry = registry
        self._lineage = lineage

    def routes(self) -> list[Route]:
        bento = "/api/v1/bento_repositories/{repository}/bentos/{version}"
        model = "/api/v1/model_repositories/{repository}/models/{version}"
        return [
            Route("GET", f"{bento}/models", self.models, action="bento.read"),
            Route("GET", f"{model}/bentos", self.bentos, action="model.read"),
        ]

    async def models(self, request: web.Request) -> web.Response:
        _, bento = await self._found(request, Kind.BENTO)
        return _page(await self._lineage.models(bento))

    async def bentos(self, request: web.Request) -> web.Response:
        repository, model = await self._found(request, Kind.MODEL)
        found = await self._lineage.bentos(model.org_id, repository.name, model.version)
        return _page(found)

    async def _found(self, request: web.Request, kind: Kind) -> tuple[Repository, Version]:
        asked = request.match_info
        org_id = principal(request).org_id
        repository = await self._registry.repository(org_id, kind, asked["repository"])
        return repository, await self._registry.find(repository, asked["version"])


def _page(found: list[tuple[Repository, Version]]) -> web.Response:
    items = [full_view(*each) for each in found]
    return json_response(page(items, start=0, total=len(items)))
