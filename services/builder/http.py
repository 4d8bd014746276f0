"""Builds and their logs for people; holds on images for the deployer."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from libs.chassis.http import Route, principal, stream_response
from libs.chassis.lifecycle import sleep_or_stop
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import Digest
from services.builder.environments import Folders
from services.builder.errors import BuildNotFoundError, HoldInvalidError
from services.builder.service import Builds, Images

_DEPLOYER: Final = frozenset({"deployer"})
_ENDED: Final = frozenset({"built", "failed"})
_POLL: Final = timedelta(milliseconds=300)
_NEWEST: Final = 200
_CHUNK: Final = 2**16


class HoldBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image_digest: Digest


class BuilderApi:
    def __init__(self, builds: Builds, images: Images, folders: Folders) -> None:
        self._builds = builds
        self._images = images
        self._folders = folders

    def routes(self) -> list[Route]:
        hold = "/internal/holds/{revision_id}"
        return [
            Route("GET", "/api/builds", self.newest, action="build.read"),
            Route("POST", "/api/builds/prune", self.prune, action="image.prune"),
            Route("GET", "/api/builds/{build_id}", self.one, action="build.read"),
            Route("GET", "/api/builds/{build_id}/log", self.log, action="build.read", stream=True),
            Route("PUT", hold, self.hold, action="image.hold", issuers=_DEPLOYER),
            Route("DELETE", hold, self.release, action="image.hold", issuers=_DEPLOYER),
        ]

    async def newest(self, request: web.Request) -> web.Response:
        found = await self._builds.newest(principal(request).org_id, _NEWEST)
        return json_response({"builds": [asdict(each) for each in found]})

    async def one(self, request: web.Request) -> web.Response:
        found = await self._builds.one(principal(request).org_id, _build_id(request))
        return json_response(asdict(found))

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
        return json_response({"removed": await self._images.prune(principal(request).org_id)})

    async def hold(self, request: web.Request) -> web.Response:
        body = await read_body(request, HoldBody)
        org_id = principal(request).org_id
        await self._images.hold(org_id, _revision_id(request), body.image_digest)
        return web.Response(status=204)

    async def release(self, request: web.Request) -> web.Response:
        await self._images.release(principal(request).org_id, _revision_id(request))
        return web.Response(status=204)

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


def _revision_id(request: web.Request) -> UUID:
    text = request.match_info["revision_id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise HoldInvalidError(text) from error
