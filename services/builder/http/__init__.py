"""What people, programs and the deployer ask of the builder."""

from typing import Final

from aiohttp import web

from libs.chassis.http import Route, described_by
from libs.chassis.problems import json_response
from services.builder.http.bases import BasesApi
from services.builder.http.builds import BuildsApi
from services.builder.http.following import FollowingApi
from services.builder.http.holds import HoldsApi
from services.builder.http.pods import PodsApi
from services.builder.http.preferences import PreferencesApi
from services.builder.http.verifying import VerifyingApi
from services.builder.service import Workshop

__all__ = ["DOCUMENT", "TITLE", "routes"]

TITLE: Final = "Yokocho builder"
DOCUMENT: Final = "/api/builder/openapi.json"


def routes(shop: Workshop, *, largest_base: int = 0) -> list[Route]:
    """Everything the builder answers."""
    found = [
        *PreferencesApi(shop.pushes).routes(),  # its path is no build's
        *BuildsApi(shop).routes(),
        *FollowingApi(shop.following).routes(),
        *BasesApi(shop, largest=largest_base).routes(),
        *PodsApi(shop).routes(),
        *VerifyingApi(shop.verifying).routes(),
        *HoldsApi(shop.images).routes(),
    ]
    described = json_response(described_by(TITLE, found))

    async def describe(_: web.Request) -> web.Response:
        return web.Response(body=described.body, content_type="application/json")

    return [*found, Route("GET", DOCUMENT, describe, action="api.read")]
