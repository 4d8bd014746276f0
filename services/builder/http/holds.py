"""What the deployer asks: that an image stays while a revision needs it."""

from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from libs.chassis.http import Route, principal
from libs.chassis.problems import read_body
from libs.contracts.types import Digest
from services.builder.errors import HoldInvalidError
from services.builder.service import Images

_DEPLOYER: Final = frozenset({"deployer"})
_HOLD: Final = "/internal/holds/{revision_id}"


class HoldBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image_digest: Digest


class HoldsApi:
    def __init__(self, images: Images) -> None:
        self._images = images

    def routes(self) -> list[Route]:
        return [
            Route("PUT", _HOLD, self.hold, action="image.hold", issuers=_DEPLOYER),
            Route("DELETE", _HOLD, self.release, action="image.hold", issuers=_DEPLOYER),
        ]

    async def hold(self, request: web.Request) -> web.Response:
        body = await read_body(request, HoldBody)
        org_id = principal(request).org_id
        await self._images.hold(org_id, _revision_id(request), body.image_digest)
        return web.Response(status=204)

    async def release(self, request: web.Request) -> web.Response:
        await self._images.release(principal(request).org_id, _revision_id(request))
        return web.Response(status=204)


def _revision_id(request: web.Request) -> UUID:
    text = request.match_info["revision_id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise HoldInvalidError(text) from error
