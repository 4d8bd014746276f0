"""A package index behind a name and a password, with one package."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from yarl import URL

from tests.support.tiny import stand_in_wheel

_FILE: Final = "bentoml-1.4.0-py3-none-any.whl"
REQUIREMENT: Final = "bentoml==1.4.0"


@dataclass
class PrivateIndex:
    """``asked`` are the paths that somebody with the right password asked for."""

    url: str
    user: str
    password: str
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """With everything that opens it."""
        return str(URL(self.url).with_user(self.user).with_password(self.password))


@asynccontextmanager
async def private_index(folder: Path, *, user: str, password: str) -> AsyncIterator[PrivateIndex]:
    wheel = folder / _FILE
    wheel.write_bytes(stand_in_wheel())
    body = wheel.read_bytes()
    page = f'<a href="/files/{_FILE}#sha256={hashlib.sha256(body).hexdigest()}">{_FILE}</a>'
    right = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    index = PrivateIndex("", user, password)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Authorization") != right:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="packages"'})
        index.asked.append(request.path)
        return await handler(request)

    async def listed(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def file(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/octet-stream")

    app = web.Application(middlewares=[guarded])
    app.router.add_get("/simple/bentoml/", listed)
    app.router.add_get(f"/files/{_FILE}", file)
    async with TestServer(app) as server:
        index.url = str(server.make_url("/simple"))
        yield index
