"""How a client is told to send."""

from typing import Any, Final

from aiohttp import web

from services.registry.domain import Strategy, Version, strategy_for
from services.registry.service import Transfers

CLIENT: Final = "X-Bentoml-Version"
_WIRE: Final = {
    Strategy.PROXY: "proxy",
    Strategy.PRESIGNED: None,
    Strategy.MULTIPART: "presigned_url",
}


async def way_of(request: web.Request, transfers: Transfers, version: Version) -> Strategy:
    """Of the bytes of ``version``."""
    return strategy_for(
        await transfers.strategy(version.org_id),
        request.headers.get(CLIENT),
        size=version.told_bytes,
        at_once=transfers.at_once,
    )


async def told(request: web.Request, transfers: Transfers, version: Version) -> dict[str, Any]:
    """As a field of a version."""
    return {"transmission_strategy": _WIRE[await way_of(request, transfers, version)]}
