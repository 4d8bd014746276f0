"""A token service as registries send their clients to: checks who asks, signs what they may."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.authorities import Signed

ISSUER = "tokens"
SERVICE = "images"


@dataclass
class TokenService:
    """``users`` by name, and ``refresh`` tokens that stand for one."""

    signer: Signed
    users: dict[str, str] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    anonymous: bool = False
    oauth_only: bool = False
    life: int = 300
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and scopes of each request."""
    faults: list[int] = field(default_factory=list)
    url: str = ""

    @property
    def auth(self) -> dict[str, Any]:
        """For the configuration of a registry."""
        return {
            "token": {
                "realm": self.url,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.signer.certificate),
            }
        }

    async def get(self, request: web.Request) -> web.Response:
        scopes = request.query.getall("scope", [])
        self.asked.append(("GET", " ".join(scopes)))
        if self.faults:
            return web.Response(status=self.faults.pop(0), text=request.headers["Authorization"])
        if self.oauth_only:
            return web.Response(status=405)
        name, allowed = self._named(request)
        if not allowed:
            return web.json_response({"details": request.headers["Authorization"]}, status=401)
        return self._answer(name, scopes)

    async def post(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append(("POST", str(form["scope"])))
        known = form.get("refresh_token") in self.refresh
        if form["grant_type"] == "password":
            known = self.users.get(str(form["username"])) == form["password"]
        if not known:
            return web.Response(status=401)
        return self._answer("ada", str(form["scope"]).split(), key="access_token")

    def _named(self, request: web.Request) -> tuple[str, bool]:
        said = request.headers.get("Authorization")
        if said is None:
            return "", self.anonymous
        name, _, password = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
        return name, self.users.get(name) == password

    def _answer(self, name: str, scopes: list[str], *, key: str = "token") -> web.Response:
        access = []
        for scope in scopes:
            kind, repository, actions = scope.split(":")
            verbs = [each for each in actions.split(",") if name or each == "pull"]
            access.append({"type": kind, "name": repository, "actions": verbs})
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": name,
            "iat": now,
            "nbf": now - timedelta(seconds=10),
            "exp": now + timedelta(seconds=self.life),
            "jti": str(len(self.asked)),
            "access": access,
        }
        chain = [base64.b64encode(self.signer.der).decode()]
        pem = self.signer.key.read_text()
        token = jwt.encode(claims, pem, "ES256", headers={"x5c": chain})
        return web.json_response({key: token, "expires_in": self.life})


@asynccontextmanager
async def token_service(signer: Signed) -> AsyncIterator[TokenService]:
    service = TokenService(signer)
    app = web.Application()
    app.router.add_get("/token", service.get)
    app.router.add_post("/token", service.post)
    server = TestServer(app)
    await server.start_server()
    service.url = str(server.make_url("/token"))
    try:
        yield service
    finally:
        await server.close()
        await asyncio.sleep(0)
