"""What the builder and the deployer ask."""

from typing import Final

from aiohttp import web

from libs.chassis.http import Route, principal, stream_response
from services.registry.http.ranges import begun
from services.registry.service import Integrity, Registry

_SERVICES: Final = frozenset({"builder", "deployer"})


class InternalApi:
    def __init__(self, registry: Registry, integrity: Integrity) -> None:
        self._registry = registry
        self._integrity = integrity

    def routes(self) -> list[Route]:
        bento = "/internal/bentos/{repository}/{version}"
        return [
            Route("GET", bento, self.bento, action="bento.read", issuers=_SERVICES),
            Route(
                "GET", "/internal/blobs/{digest}", self.blob, action="blob.read", issuers=_SERVICES
            ),
        ]

    async def bento(self, request: web.Request) -> web.Response:
        asked = request.match_info
        resolved = await self._registry.resolve(
            principal(request).org_id, asked["repository"], asked["version"]
        )
        return web.Response(text=resolved.model_dump_json(), content_type="application/json")

    async def blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        blob = await self._registry.blob(principal(request).org_id, digest)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(blob.size_bytes),
        }
        return await stream_response(
            request, await begun(self._integrity.read(blob)), headers=headers
        )
