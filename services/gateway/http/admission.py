"""Who may call an endpoint; of the caller's credentials its model sees nothing of ours."""

from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from services.gateway.domain import Identity, Route
from services.gateway.errors import (
    OtherOrganisationError,
    TokenMissingError,
    TokenUncheckedError,
    TokenUnknownError,
)
from services.gateway.routing.headers import credentials, possible_tokens, without_our_cookies
from services.gateway.service.tokens import Tokens

_MOST_WORDS: Final = 4
"""An ``Authorization`` with more words that could be tokens is not looked through, but removed."""


class Admission:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def require(self, request: web.Request, route: Route) -> None:
        """Refuse whoever may not call ``route``."""
        if not route.access_authorization:
            return
        identity = await self._tokens.identify(credentials(request.headers))
        if identity.org.id != route.org_id:
            raise OtherOrganisationError(route.endpoint)

    async def may_know(self, request: web.Request, route: Route) -> bool:
        """May the caller read why ``route`` failed? Logs can hold anything."""
        if route.access_authorization is False:
            return True
        try:
            identity: Identity = await self._tokens.identify(credentials(request.headers))
        except (TokenMissingError, TokenUncheckedError, TokenUnknownError):
            return False
        return identity.org.id == route.org_id

    async def strip(self, headers: CIMultiDict[str]) -> None:
        """Take out every credential of the platform, in place. In doubt it is one.

        A model's author must never receive a caller's token, whether it was needed or not.
        """
        without_our_cookies(headers)
        given = headers.popall("Authorization", [])
        for value in given:
            if not await self._is_ours(value):
                headers.add("Authorization", value)

    async def _is_ours(self, value: str) -> bool:
        words = possible_tokens(value)
        if len(words) > _MOST_WORDS:
            return True
        try:
            return any([await self._tokens.holder(word) is not None for word in words])
        except TokenUncheckedError:
            return True
