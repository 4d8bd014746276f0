"""What the builder and the deployer ask."""

from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.http import Route, principal, stream_response
from libs.chassis.problems import read_body
from services.registry.errors import QueryRefusedError
from services.registry.http.ranges import begun
from services.registry.service import Holds, Integrity, Registry

_SERVICES: Final = frozenset({"builder", "deployer"})
_DEPLOYER: Final = frozenset({"deployer"})
_HOLD: Final = "/internal/holds/{revision_id}"


class PutHold(BaseModel):
    """What a revision needs: its bento, and with that the models which the bento names."""

    model_config = ConfigDict(extra="forbid")

    bento_id: UUID
    deployment: str = Field(max_length=200)


class InternalApi:
    def __init__(self, registry: Registry, integrity: Integrity, holds: Holds) -> None:
        self._registry = registry
        self._integrity = integrity
        self._holds = holds

    def routes(self) -> list[Route]:
        bento = "/internal/bentos/{repository}/{version}"
        return [
            Route("GET", bento, self.bento, action="bento.read", issuers=_SERVICES),
            Route("PUT", _HOLD, self.hold, action="version.hold", issuers=_DEPLOYER),
            Route("DELETE", _HOLD, self.release, action="version.hold", issuers=_DEPLOYER),
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

    async def hold(self, request: web.Request) -> web.Response:
        body = await read_body(request, PutHold)
        await self._holds.take(
            principal(request).org_id,
            _revision_id(request),
            bento_id=body.bento_id,
            deployment=body.deployment,
        )
        return web.Response(status=204)

    async def release(self, request: web.Request) -> web.Response:
        await self._holds.release(principal(request).org_id, _revision_id(request))
        return web.Response(status=204)


def _revision_id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["revision_id"])
    except ValueError as error:
        raise QueryRefusedError("the path of a hold names no revision") from error
