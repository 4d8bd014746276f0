"""What an organisation wants of the builder, read and written."""

from typing import Final

from aiohttp import web
from pydantic import Field

from libs.chassis.http import Route, principal
from libs.chassis.openapi import Body, Operation
from libs.chassis.problems import json_response, read_body
from services.builder.domain import Preferences
from services.builder.service import Pushes

_PATH: Final = "/api/builds/settings"


class PreferencesBody(Body):
    """All of it: what is left out is not kept."""

    build_on_push: bool = Field(description="make an image of every bento as soon as it is pushed")


class PreferencesApi:
    def __init__(self, pushes: Pushes) -> None:
        self._pushes = pushes

    def routes(self) -> list[Route]:
        return [
            Route("GET", _PATH, self.read, action="build.read", operation=_READ),
            Route("PUT", _PATH, self.write, action="build.configure", operation=_WRITE),
        ]

    async def read(self, request: web.Request) -> web.Response:
        return json_response(await self._pushes.wanted(principal(request).org_id))

    async def write(self, request: web.Request) -> web.Response:
        body = await read_body(request, PreferencesBody)
        wanted = Preferences(body.build_on_push)
        return json_response(await self._pushes.want(principal(request), wanted))


_READ: Final = Operation("getBuildSettings", "What the organisation wants", Preferences)
_WRITE: Final = Operation(
    "setBuildSettings", "Say what the organisation wants", Preferences, body=PreferencesBody
)
