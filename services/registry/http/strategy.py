"""How a client is told to send."""

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from services.registry.domain import Strategy, strategy_for
from services.registry.service import Transfers

CLIENT: Final = "X-Bentoml-Version"
_WIRE: Final = {
    Strategy.PROXY: "proxy",
    Strategy.PRESIGNED: None,
    Strategy.MULTIPART: "presigned_url",
}


async def told(request: web.Request, transfers: Transfers, org_id: UUID) -> dict[str, Any]:
    """As a field of a version."""
    setting = await transfers.strategy(org_id)
    return {"transmission_strategy": _WIRE[strategy_for(setting, request.headers.get(CLIENT))]}
