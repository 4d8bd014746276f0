"""Base images for people: which are pinned, and how others come."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from pydantic import Field

from libs.chassis.client import OrgRef
from libs.chassis.http import Route, accept_body, principal
from libs.chassis.openapi import Body, Operation, Query
from libs.chassis.problems import json_response, read_body, read_query
from services.builder.domain import BaseImage, PinnedBase
from services.builder.errors import (
    BaseImageRefusedError,
    BuildFailedError,
    RegistryUnreachableError,
)
from services.builder.http.platforms import PlatformName
from services.builder.service import Workshop
from services.builder.upstream import save

_TOP: Final = "/api/base-images"


class PullBase(Body):
    """Pinned to what the name means now, also where it was pinned before."""

    reference: str = Field(min_length=1, max_length=500)
    platforms: tuple[PlatformName, ...] = Field(
        ("linux/amd64",), min_length=1, max_length=4, strict=False
    )


class Named(Query):
    reference: str = Field(min_length=1, max_length=500, description="such as `python:3.11-slim`")


@dataclass(frozen=True, slots=True)
class BaseShown:
    """``pythons`` are versions of what can be built on; ``size_bytes`` is of its layers."""

    reference: str
    platform: str
    digest: str
    libc: str
    pythons: Sequence[str]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pinned:
    items: Sequence[BaseShown]


@dataclass(frozen=True, slots=True)
class All:
    items: Sequence[PinnedBase]


class BasesApi:
    """``largest`` is what one import may have, in bytes."""

    def __init__(self, shop: Workshop, *, largest: int) -> None:
        self._bases = shop.bases
        self._largest = largest

    def routes(self) -> list[Route]:
        pin = "base_image.pin"
        return [
            Route("GET", _TOP, self.all, action="build.read", operation=_ALL),
            Route("POST", f"{_TOP}/pull", self.pull, action=pin, operation=_PULL),
            Route(
                *("POST", f"{_TOP}/import", self.bring),
                action=pin,
                operation=_IMPORT,
                defers_body=True,
            ),
            Route("DELETE", _TOP, self.forget, action=pin, operation=_FORGET),
        ]

    async def all(self, request: web.Request) -> web.Response:
        return json_response(All(await self._bases.all(principal(request).org_id)))

    async def pull(self, request: web.Request) -> web.Response:
        body = await read_body(request, PullBase)
        with _refused():
            found = await self._bases.pull(_org(request), body.reference, body.platforms)
        return json_response(Pinned([_shown(each) for each in found]))

    async def bring(self, request: web.Request) -> web.Response:
        """The body is kept in a file until the registry has what is in it."""
        asked = read_query(request, Named)
        if (request.content_length or 0) > self._largest:
            raise BaseImageRefusedError(f"it is larger than {self._largest} bytes")
        await accept_body(request)
        with tempfile.TemporaryDirectory(dir=self._bases.scratch) as folder, _refused():
            file = Path(folder, "image.tar")
            await save(self._bounded(request), file)
            found = await self._bases.bring(_org(request), asked.reference, file)
        return json_response(Pinned([_shown(each) for each in found]))

    async def forget(self, request: web.Request) -> web.Response:
        asked = read_query(request, Named)
        with _refused():
            await self._bases.forget(principal(request).org_id, asked.reference)
        return web.Response(status=204)

    async def _bounded(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > self._largest:
                raise BaseImageRefusedError(f"it is larger than {self._largest} bytes")
            yield piece


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except BuildFailedError as error:
        raise BaseImageRefusedError(error.reason) from error
    except RegistryUnreachableError as error:  # somebody else's registry, which the caller named
        raise BaseImageRefusedError(error.detail) from error


def _org(request: web.Request) -> OrgRef:
    return OrgRef.of(principal(request))


def _shown(base: BaseImage) -> BaseShown:
    return BaseShown(
        reference=base.reference,
        platform=base.platform,
        digest=base.digest,
        libc=base.libc,
        pythons=[each.version for each in base.pythons],
        size_bytes=sum(each.size_bytes for each in base.layers),
    )


_ALL: Final = Operation("listBaseImages", "The base images that are pinned", All)
_PULL: Final = Operation(
    "pullBaseImage", "Pin what a name means now, from where it is published", Pinned, body=PullBase
)
_IMPORT: Final = Operation(
    "importBaseImage",
    "Pin what an OCI layout or a docker archive (tar) holds",
    Pinned,
    query=Named,
    body=bytes,
)
_FORGET: Final = Operation(
    "forgetBaseImage", "Unpin a base image; images built on it stay", query=Named, status=204
)
