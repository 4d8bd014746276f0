"""Builds for people and programs: asked for, listed, looked at."""

from typing import Annotated, Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import Field

from libs.chassis.client import OrgRef
from libs.chassis.http import Route, principal
from libs.chassis.openapi import Body, Operation
from libs.chassis.pagination import Page, PageQuery, keys_in, page_of
from libs.chassis.problems import json_response, read_body, read_query
from services.builder.domain import BuildView, Pruned, Sought, Strategy, Wish
from services.builder.errors import BuildNotFoundError
from services.builder.http.platforms import PlatformName
from services.builder.service import Workshop

TOP: Final = "/api/builds"
ONE: Final = f"{TOP}/{{build_id:[-0-9a-fA-F]+}}"
READ: Final = "build.read"
SecretName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
_IMAGE: Final = r"^[!-~]+$"
_TAG: Final = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}(:[a-zA-Z0-9][a-zA-Z0-9._-]{0,127})?$"


class BuildBody(Body):
    """A container image of a bento. What is left out is chosen by the plan."""

    bento: str = Field(pattern=_TAG, description="`repository:version`, or the latest of one")
    strategy: Strategy | None = Field(None, strict=False)
    platforms: tuple[PlatformName, ...] = Field((), max_length=4, strict=False)
    no_cache: bool = Field(default=False, description="make every layer anew")
    image: str | None = Field(
        None,
        pattern=_IMAGE,
        max_length=500,
        description="one that is there already: checked, and taken as it is",
    )
    secrets: tuple[SecretName, ...] = Field(
        (),
        max_length=32,
        strict=False,
        description="names of those that the build is given, of stage `build` or `all`",
    )


class BuildsQuery(PageQuery):
    """Of the newest first; what is empty asks for nothing."""

    bento: str = Field("", max_length=260, description="`repository`, or `repository:version`")
    status: Literal["", "queued", "running", "built", "failed", "cancelled"] = ""
    kind: Literal["", "environment", "oci"] = ""

    def sought(self) -> Sought:
        repository, _, version = self.bento.partition(":")
        return Sought(repository, version, self.status, self.kind)


class BuildsApi:
    def __init__(self, shop: Workshop) -> None:
        self._builds = shop.builds
        self._following = shop.following
        self._housekeeping = shop.housekeeping
        self._registry = shop.registry

    def routes(self) -> list[Route]:
        return [
            Route("GET", TOP, self.newest, action=READ, operation=_NEWEST),
            Route("POST", TOP, self.order, action="build.create", operation=_ORDER),
            Route("POST", f"{TOP}/prune", self.prune, action="image.prune", operation=_PRUNE),
            Route("GET", ONE, self.one, action=READ, operation=_ONE),
            Route("POST", f"{ONE}/cancel", self.cancel, action="build.cancel", operation=_CANCEL),
        ]

    async def newest(self, request: web.Request) -> web.Response:
        asked = read_query(request, BuildsQuery)
        (before,) = keys_in(asked.cursor, (UUID,)) if asked.cursor else (None,)
        found = await self._builds.newest(
            principal(request).org_id, asked.sought(), before=before, count=asked.count + 1
        )
        return json_response(page_of([(each, [each.id]) for each in found], asked.count))

    async def order(self, request: web.Request) -> web.Response:
        body = await read_body(request, BuildBody)
        repository, _, version = body.bento.partition(":")
        who = principal(request)
        bento = await self._registry.resolve(repository, version or "latest", OrgRef.of(who))
        wish = Wish(body.strategy, body.platforms, body.no_cache, body.image, body.secrets)
        return json_response(await self._builds.order(who, bento, wish), status=202)

    async def one(self, request: web.Request) -> web.Response:
        found = await self._following.one(principal(request).org_id, build_id(request))
        return json_response(found)

    async def cancel(self, request: web.Request) -> web.Response:
        """One that runs is shown as it is until its worker has stopped it: within a second."""
        return json_response(await self._builds.cancel(principal(request), build_id(request)))

    async def prune(self, request: web.Request) -> web.Response:
        return json_response(await self._housekeeping.prune(principal(request).org_id))


def build_id(request: web.Request) -> UUID:
    """Of the path; what is no id is no build's."""
    text = request.match_info["build_id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise BuildNotFoundError(text) from error


_NEWEST: Final = Operation(
    "builds", "Builds, newest first", query=BuildsQuery, answer=Page[BuildView]
)
_ORDER: Final = Operation(
    "order_build",
    "Ask for a container image of a bento",
    body=BuildBody,
    answer=BuildView,
    status=202,
)
_ONE: Final = Operation("build", "A build, how it goes and how it ended", answer=BuildView)
_PRUNE: Final = Operation(
    "prune_builds", "Remove what the organisation need not have", answer=Pruned
)
_CANCEL: Final = Operation(
    "cancel_build", "Stop a build; one that was stopped stays so", answer=BuildView
)
