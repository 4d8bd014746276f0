"""Builds for people and programs: asked for, listed, followed."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import Field

from libs.chassis.client import OrgRef
from libs.chassis.http import Route, principal, stream_response
from libs.chassis.lifecycle import sleep_or_stop
from libs.chassis.openapi import Body, Operation, Query
from libs.chassis.problems import json_response, read_body, read_query
from services.builder.domain import BuildView, Kind, Pruned, Strategy, Which, Wish
from services.builder.environments import Folders
from services.builder.errors import BuildNotFoundError
from services.builder.service import Workshop

_ENDED: Final = frozenset({"built", "failed", "cancelled"})
_POLL: Final = timedelta(milliseconds=300)
_NEWEST: Final = 200
_CHUNK: Final = 2**16
_TAG: Final = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}(:[a-zA-Z0-9][a-zA-Z0-9._-]{0,127})?$"

_Platform = Annotated[str, Field(pattern="^linux/(amd64|arm64)$")]


class BuildBody(Body):
    """A container image of a bento. What is left out is chosen by the plan."""

    bento: str = Field(pattern=_TAG, description="`repository:version`, or the latest of one")
    strategy: Strategy | None = Field(None, strict=False)
    platforms: tuple[_Platform, ...] = Field((), max_length=4, strict=False)
    no_cache: bool = Field(default=False, description="make every layer anew")


class BuildsQuery(Query):
    """Which builds are listed; without any, all of them."""

    status: Literal["queued", "running", "built", "failed", "cancelled"] | None = None
    kind: Kind | None = None
    bento: str | None = Field(None, pattern=_TAG, description="`repository`, or one version of it")

    def which(self) -> Which:
        repository, _, version = (self.bento or "").partition(":")
        statuses = (self.status,) if self.status else ()
        return Which(statuses, self.kind, repository or None, version or None)


class BuildsApi:
    def __init__(self, shop: Workshop, folders: Folders) -> None:
        self._builds = shop.builds
        self._housekeeping = shop.housekeeping
        self._registry = shop.registry
        self._folders = folders

    def routes(self) -> list[Route]:
        top, read = "/api/builds", "build.read"
        one = f"{top}/{{build_id}}"
        return [
            Route("GET", top, self.newest, action=read, operation=_LIST),
            Route("POST", top, self.order, action="build.create", operation=_ORDER),
            Route("POST", f"{top}/prune", self.prune, action="image.prune", operation=_PRUNE),
            Route("GET", one, self.one, action=read, operation=_ONE),
            Route("POST", f"{one}/cancel", self.cancel, action="build.cancel", operation=_CANCEL),
            Route("GET", f"{one}/log", self.log, action=read, stream=True),
        ]

    async def newest(self, request: web.Request) -> web.Response:
        which = read_query(request, BuildsQuery).which()
        found = await self._builds.newest(principal(request).org_id, _NEWEST, which)
        return json_response({"builds": found})

    async def order(self, request: web.Request) -> web.Response:
        body = await read_body(request, BuildBody)
        repository, _, version = body.bento.partition(":")
        who = principal(request)
        bento = await self._registry.resolve(repository, version or "latest", OrgRef.of(who))
        wish = Wish(body.strategy, body.platforms, body.no_cache)
        return json_response(await self._builds.order(who, bento, wish), status=202)

    async def one(self, request: web.Request) -> web.Response:
        found = await self._builds.one(principal(request).org_id, _build_id(request))
        return json_response(found)

    async def cancel(self, request: web.Request) -> web.Response:
        """One that runs is shown as it is until its worker has stopped it: within a second."""
        return json_response(await self._builds.cancel(principal(request), _build_id(request)))

    async def log(self, request: web.Request) -> web.StreamResponse:
        org_id, build_id = principal(request).org_id, _build_id(request)
        await self._builds.one(org_id, build_id)
        follow = request.query.get("follow", "").lower() in {"true", "1"}
        return await stream_response(
            request,
            self._lines(org_id, build_id, follow=follow),
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )

    async def prune(self, request: web.Request) -> web.Response:
        return json_response(await self._housekeeping.prune(principal(request).org_id))

    async def _lines(
        self, org_id: UUID, build_id: UUID, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """What is in the log, and when followed what is added until the build ends."""
        file, position = self._folders.log(build_id), 0
        while True:
            ended = (await self._builds.one(org_id, build_id)).status in _ENDED
            while chunk := await asyncio.to_thread(_read, file, position):
                position += len(chunk)
                yield chunk
            if ended or not follow or await sleep_or_stop(_POLL):
                return


def _read(file: Path, position: int) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(position)
            return opened.read(_CHUNK)
    except FileNotFoundError:
        return b""


def _build_id(request: web.Request) -> UUID:
    text = request.match_info["build_id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise BuildNotFoundError(text) from error


_ORDER: Final = Operation(
    "build", "Ask for a container image of a bento", BuildView, body=BuildBody, status=202
)
_LIST: Final = Operation("listBuilds", "The newest builds", dict[str, list[BuildView]], BuildsQuery)
_PRUNE: Final = Operation("pruneBuilds", "Remove what the organisation need not have", Pruned)
_CANCEL: Final = Operation("cancelBuild", "Stop a build; one that was stopped stays so", BuildView)
_ONE: Final = Operation("getBuild", "A build, how it goes and how it ended", BuildView)
