"""What Yatai's operators say of images, and ask: bentos of which there is none yet."""

from typing import Literal

from aiohttp import web
from pydantic import BaseModel

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from services.registry.domain import Kind, Version
from services.registry.service import Registry
from services.registry.views import full_view, version_view


class UpdateImageStatus(BaseModel):
    image_build_status: Literal["pending", "building", "success", "failed"]


class OperatorsApi:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def routes(self) -> list[Route]:
        one = "/api/v1/bento_repositories/{repository}/bentos/{version}"
        every = "/api/v1/image_build_status_unsynced_bentos"
        status = f"{one}/update_image_build_status"
        return [
            Route("GET", every, self.unsynced, action="bento.read"),
            Route("PATCH", status, self.update, action="bento.build"),
            Route("PATCH", f"{status}_syncing_at", self.look_after, action="bento.build"),
        ]

    async def unsynced(self, request: web.Request) -> web.Response:
        """Of the caller's organisation, oldest first; what an operator looks after is left out."""
        found = await self._registry.unsynced(principal(request).org_id)
        return json_response([full_view(*each) for each in found])

    async def update(self, request: web.Request) -> web.Response:
        body = await read_body(request, UpdateImageStatus)
        bento = await self._found(request)
        await self._registry.say_image(bento, body.image_build_status)
        return json_response(version_view(await self._found(request), Kind.BENTO))

    async def look_after(self, request: web.Request) -> web.Response:
        """For a minute nobody else is told of it."""
        await self._registry.look_after(await self._found(request))
        return json_response(version_view(await self._found(request), Kind.BENTO))

    async def _found(self, request: web.Request) -> Version:
        asked, org_id = request.match_info, principal(request).org_id
        repository = await self._registry.repository(org_id, Kind.BENTO, asked["repository"])
        return await self._registry.find(repository, asked["version"])
