"""The registry of images at the edge: Docker's way to get a token, and what one is good for."""

import base64
import binascii
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.http import Route, principal
from libs.chassis.problems import Form, json_response
from libs.contracts.identity import Principal
from libs.contracts.oci import OciRefusal, OciRefusals, code_of
from services.gateway.errors import OtherOrganisationError, ScopeMissingError
from services.gateway.http.api import HIDDEN
from services.gateway.http.identity import IdentityApi
from services.gateway.routing.headers import ORGANISATION, credentials
from services.gateway.routing.images import PREFIX, Scope, allowed, asked, challenge, needed
from services.gateway.service.images import ImageClaims, ImageTokens

_TOKEN_PATH: Final = "/v2/token"  # noqa: S105 - a path
_DOTS_OF_A_JWT: Final = 2
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


class ImagesApi:
    """Below ``/v2/`` a token of the platform is good for everything, one for images for its scope.

    ``public_url`` is where clients reach this API; None: where they say that they are.
    """

    def __init__(
        self, identity: IdentityApi, tokens: ImageTokens, *, public_url: str | None
    ) -> None:
        self._identity = identity
        self._tokens = tokens
        self._public_url = public_url

    def routes(self) -> list[Route]:
        return [Route("GET", _TOKEN_PATH, self.token, action="image_token.create")]

    @property
    def forms(self) -> dict[str, Form]:
        return {PREFIX: self._form}

    async def authenticate(self, request: web.Request) -> Principal:
        if not request.path.startswith(PREFIX):
            return await self._identity.authenticate(request)
        token = credentials(request.headers) or _password(request)
        if token is None or token.count(".") != _DOTS_OF_A_JWT or request.path == _TOKEN_PATH:
            return await self._identity.vouch(request, token)
        claims = self._tokens.read(token)
        org = request.headers.get(ORGANISATION)
        if org and org != claims.principal.org:
            raise OtherOrganisationError(org)
        self._confine(request, claims)
        return claims.principal

    async def token(self, request: web.Request) -> web.Response:
        """For Basic with any name, and a token of the platform as the password."""
        access = asked(request.query.getall("scope", []))
        until = self._identity.expiry(request)
        token, claims = self._tokens.issue(principal(request), access, until=until)
        return json_response(
            {
                "token": token,
                "access_token": token,
                "expires_in": claims.exp - claims.iat,
                "issued_at": datetime.fromtimestamp(claims.iat, UTC),
            },
            headers={"Cache-Control": "no-store"},
        )

    def _confine(self, request: web.Request, claims: ImageClaims) -> None:
        wanted = _needed(request)
        if wanted is None or not allowed(claims.access, wanted):
            raise ScopeMissingError([each.text for each in wanted or ()])
        if "mount" in request.query and "from" not in request.query:
            # The registry would look through all repositories: the client sends the blob instead.
            request[HIDDEN] = frozenset({"mount"})

    def _form(self, request: web.Request, answer: web.Response, error: ServiceError | None) -> None:
        if error is not None and error.kind is Kind.INVALID:
            answer.set_status(HTTPStatus.BAD_REQUEST)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = self._challenge(request, error)
        refusal = OciRefusal(
            code=code_of(answer.status),
            message=error.detail if error else answer.reason,
            detail=error.facts if error else None,
        )
        answer.body = OciRefusals(errors=[refusal]).model_dump_json().encode()
        answer.content_type = "application/json"
        answer.headers["Docker-Distribution-API-Version"] = "registry/2.0"

    def _challenge(self, request: web.Request, error: ServiceError | None) -> str:
        here = f"{request.scheme}://{request.host}" if _HOST.fullmatch(request.host) else None
        url = self._public_url or here
        if request.path == _TOKEN_PATH or url is None:
            return 'Basic realm="yokocho"'
        why = "insufficient_scope" if isinstance(error, ScopeMissingError) else None
        return challenge(f"{url.rstrip('/')}{_TOKEN_PATH}", _needed(request) or (), error=why)


def _needed(request: web.Request) -> tuple[Scope, ...] | None:
    return needed(request.method, request.rel_url.raw_path, request.query)


def _password(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        said = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return said.partition(":")[2] or None
