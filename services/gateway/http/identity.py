"""Who the caller is: what the BentoML client asks at login, and how requests are vouched for."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from libs.chassis.http import Route
from libs.chassis.problems import json_response
from libs.contracts.identity import Person, Principal
from services.gateway.domain import Identity
from services.gateway.routing.headers import ORGANISATION, credentials
from services.gateway.service.tokens import Tokens

_IDENTITY: Final = web.RequestKey("identity", Identity)


class _Resource(BaseModel):
    """What every resource of BentoML's API has."""

    uid: UUID
    created_at: datetime
    updated_at: datetime
    deleted_at: None = None
    name: str
    resource_type: str
    labels: list[Any] = []


class UserView(_Resource):
    resource_type: str = "user"
    first_name: str
    last_name: str
    email: str


class OrganizationView(_Resource):
    resource_type: str = "organization"
    description: str


class IdentityApi:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/auth/current", self.user, action="user.read"),
            Route("GET", "/api/v1/current_org", self.organization, action="organization.read"),
        ]

    async def authenticate(self, request: web.Request) -> Principal:
        return await self.vouch(request, credentials(request.headers))

    def expiry(self, request: web.Request) -> datetime | None:
        """Of the token that ``vouch`` was given; None when it does not expire."""
        return request[_IDENTITY].expires_at

    async def vouch(self, request: web.Request, token: str | None) -> Principal:
        """The holder of a token of the platform."""
        identity = await self._tokens.identify(token, org=request.headers.get(ORGANISATION))
        request[_IDENTITY] = identity
        user = identity.user
        return Principal(
            actor=f"user:{user.id}",
            issuer="gateway",
            org_id=identity.org.id,
            org=identity.org.name,
            person=Person(
                id=user.id,
                name=user.name,
                email=user.email,
                first_name=user.first_name,
                last_name=user.last_name,
            ),
        )

    async def user(self, request: web.Request) -> web.Response:
        user = request[_IDENTITY].user
        return json_response(
            UserView(
                uid=user.id,
                created_at=user.created_at,
                updated_at=user.updated_at,
                name=user.name,
                first_name=user.first_name,
                last_name=user.last_name,
                email=user.email,
            )
        )

    async def organization(self, request: web.Request) -> web.Response:
        org = request[_IDENTITY].org
        return json_response(
            OrganizationView(
                uid=org.id,
                created_at=org.created_at,
                updated_at=org.updated_at,
                name=org.name,
                description=org.description,
            )
        )
