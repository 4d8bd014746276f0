"""Which deployments run a bento, or a model inside of one: BentoML's v1 lists of one hop."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response
from services.deployer import views
from services.deployer.service import Reading

Fits = Callable[[Mapping[str, Any]], bool]


class LineageApi:
    def __init__(self, reading: Reading, *, public_url: str) -> None:
        self._reading = reading
        self._public_url = public_url

    def routes(self) -> list[Route]:
        bentos, models = "/api/v1/bento_repositories", "/api/v1/model_repositories"
        bento = f"{bentos}/{{repository}}/bentos/{{version}}/deployments"
        model = f"{models}/{{repository}}/models/{{version}}/deployments"
        return [
            Route("GET", f"{bentos}/{{repository}}/deployments", self.of_repository, _READ),
            Route("GET", bento, self.of_bento, _READ),
            Route("GET", model, self.of_model, _READ),
        ]

    async def of_repository(self, request: web.Request) -> web.Response:
        """Those whose latest revision runs any version of the bento."""
        wanted = request.match_info["repository"]
        return await self._running(request, lambda bento: bento["repository"]["name"] == wanted)

    async def of_bento(self, request: web.Request) -> web.Response:
        asked = request.match_info
        wanted = (asked["repository"], asked["version"])
        return await self._running(
            request, lambda bento: (bento["repository"]["name"], bento["version"]) == wanted
        )

    async def of_model(self, request: web.Request) -> web.Response:
        """Those whose latest revision runs a bento that names the model."""
        wanted = "{repository}:{version}".format(**request.match_info)
        return await self._running(request, lambda bento: wanted in bento.get("models", ()))

    async def _running(self, request: web.Request, fits: Fits) -> web.Response:
        found = await self._reading.running(principal(request).org_id, fits)
        items = [
            views.deployment_view(
                each.deployment, each.latest, each.snapshot, public_url=self._public_url
            )
            for each in found
        ]
        return json_response(views.list_view(items, start=0, count=len(items), total=len(items)))


_READ = "deployment.read"
