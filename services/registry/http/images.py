"""The native API's rules of image repositories: which tags stay where they are."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from libs.chassis.http import Route
from libs.chassis.openapi import Body, Operation
from libs.chassis.problems import json_response, read_body
from services.registry.http.oci.answers import place_of
from services.registry.service import OciManifests

Pattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*?-]{1,128}$")]


class Rules(Body):
    """``immutable``: patterns (``*`` and ``?``) of tags that cannot move or be deleted."""

    immutable: list[Pattern] = Field(max_length=32)


class RulesApi:
    def __init__(self, manifests: OciManifests) -> None:
        self._manifests = manifests

    def routes(self) -> list[Route]:
        path = "/api/registry/images/{name:.+}/rules"
        return [
            Route("GET", path, self.get, action="image.read", operation=_GET),
            Route("PUT", path, self.put, action="image.govern", operation=_PUT),
        ]

    async def get(self, request: web.Request) -> web.Response:
        return json_response(Rules(immutable=await self._manifests.rules(place_of(request))))

    async def put(self, request: web.Request) -> web.Response:
        """In place of those that there were; they hold for the tags that are there already."""
        place, rules = place_of(request), await read_body(request, Rules)
        await self._manifests.rule(place, rules.immutable)
        return json_response(rules)


_GET = Operation("image_rules", "Which tags of a repository of images stay", answer=Rules)
_PUT = Operation(
    "put_image_rules",
    "Say which tags of a repository of images stay",
    body=Rules,
    answer=Rules,
    once=True,
)
