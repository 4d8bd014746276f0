"""Requests by signed URL: whoever has one needs no token, and can do nothing else with it."""

from aiohttp import web

from libs.chassis.auth import Authenticate
from libs.chassis.signedurls import PARAMETER, UrlVerifier
from libs.contracts.identity import Principal
from services.gateway.http.api import HIDDEN


class SignedUrls:
    """``otherwise`` knows everybody who comes without a signature."""

    def __init__(self, verifier: UrlVerifier, *, otherwise: Authenticate) -> None:
        self._verifier = verifier
        self._otherwise = otherwise

    async def authenticate(self, request: web.Request) -> Principal:
        signature = request.query.get(PARAMETER)
        if signature is None:
            return await self._otherwise(request)
        signed = self._verifier.verify(request.method, request.rel_url.raw_path, signature)
        request[HIDDEN] = frozenset({PARAMETER})
        return signed.model_copy(update={"issuer": "gateway"})
