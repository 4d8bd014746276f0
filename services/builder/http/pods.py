"""A build as the pod that BentoML's clients look for, to show its log while they wait."""

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.podlogs import LogWish, Pod, show_log, show_pods
from services.builder.domain import ENDED, BuildView, Sought
from services.builder.errors import BuildNotFoundError
from services.builder.service import Workshop

_BUILDER: Final = {"yatai.ai/is-bento-image-builder": "true"}
_PREFIX: Final = "build."
_SELECTED: Final = re.compile(r"[,;]")
_RECENT: Final = timedelta(minutes=1)
_WAIT: Final = timedelta(seconds=3)
_LOOK: Final = timedelta(milliseconds=100)


class PodsApi:
    """Such a pod always runs: clients show the log of no other, not even of one that ended."""

    def __init__(self, shop: Workshop) -> None:
        self._builds = shop.builds
        self._following = shop.following

    def routes(self) -> list[Route]:
        cluster = "/ws/v1/clusters/{cluster}"
        return [
            Route("GET", f"{cluster}/pods", self.pods, action="build.read", stream=True),
            Route("GET", f"{cluster}/tail", self.tail, action="build.read", stream=True),
        ]

    async def pods(self, request: web.Request) -> web.WebSocketResponse:
        """The build of the selected bento; a WebSocket."""

        async def find() -> list[Pod]:
            selector = request.query.get("selector", "").replace("\0", "")
            wanted = dict(each.partition("=")[::2] for each in _SELECTED.split(selector))
            repository = wanted.get("yatai.ai/bento-repository", "")
            version = wanted.get("yatai.ai/bento", "")
            if not repository or not version:
                return []
            found = await self._latest(principal(request).org_id, Sought(repository, version))
            namespace = request.query.get("namespace", "")
            return [Pod(f"{_PREFIX}{each.id}", namespace, _BUILDER) for each in found]

        return await show_pods(request, find)

    async def tail(self, request: web.Request) -> web.WebSocketResponse:
        """The log of a build; a WebSocket."""
        org_id, pod = principal(request).org_id, request.query.get("pod_name", "")

        async def log(wish: LogWish) -> AsyncGenerator[bytes, None]:
            build_id = _build_of(pod)
            async for piece in self._following.pieces(org_id, build_id, last=wish.tail_lines):
                if piece.text:
                    yield piece.text
                elif not wish.follow:
                    return

        return await show_log(request, log)

    async def _latest(self, org_id: UUID, sought: Sought) -> list[BuildView]:
        """Whoever asks has just asked for a build, which may not have arrived here yet."""
        clock = asyncio.get_running_loop()
        until = clock.time() + _WAIT.total_seconds()
        while True:
            found = list(await self._builds.newest(org_id, sought, count=1))
            if (found and _is_new(found[0])) or clock.time() > until:
                return found
            await asyncio.sleep(_LOOK.total_seconds())


def _is_new(build: BuildView) -> bool:
    return build.status not in ENDED or datetime.now(UTC) - build.created_at < _RECENT


def _build_of(pod: str) -> UUID:
    try:
        return UUID(pod.removeprefix(_PREFIX))
    except ValueError as error:
        raise BuildNotFoundError(pod) from error
