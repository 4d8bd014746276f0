"""The API of a builder that a test drives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from libs.chassis.http import build_app
from libs.contracts.identity import Principal
from services.builder.http import routes
from tests.support.builder import ADA, ORG, OTHER, Yard
from tests.support.serving import always_ready, served


@asynccontextmanager
async def answering(yard: Yard) -> AsyncIterator[str]:
    """The builder's API, on which Ada asks; with a header ``X-Other`` for another organisation."""

    async def as_ada(request: web.Request) -> Principal:
        org = OTHER if "X-Other" in request.headers else ORG
        return Principal(actor="user:1", issuer="gateway", org_id=org, org="default", person=ADA)

    app = build_app(routes(yard.shop), service="builder", authenticate=as_ada, ready=always_ready)
    async with served(app) as url:
        yield url
