"""A registry that answers badly: it keeps blobs in memory and does what a test wants of it."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class BadRegistry:
    """``faults`` are asked first, one for each request; ``None`` is a good answer."""

    url: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    faults: list[Handler] = field(default_factory=list)
    always: Handler | None = None
    seen: list[web.Request] = field(default_factory=list)
    ranges: bool = True
    uploads: dict[str, bytes] = field(default_factory=dict)

    @property
    def asked(self) -> list[str]:
        return [request.method for request in self.seen]

    def keep(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return digest

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        fault = self.faults.pop(0) if self.faults else self.always
        answer = await fault(request) if fault else None
        return answer or await self.good(request)

    async def good(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - a table
        upload = request.path.rpartition("/")[2]
        match request.method:
            case "POST":
                self.uploads[name := f"upload-{len(self.seen)}"] = b""
                where = f"{request.path}{name}?_state=a%2Fb%3D%3D"
                return web.Response(status=202, headers={"Location": where})
            case "PATCH":
                assert request.query["_state"] == "a/b=="
                self.uploads[upload] += await request.read()
                return web.Response(status=202, headers={"Location": str(request.rel_url)})
            case "PUT":
                content = self.uploads.pop(upload) + await request.read()
                if self.keep(content) != request.query["digest"]:
                    return web.Response(status=400)
                return web.Response(status=201)
            case "DELETE":
                self.uploads.pop(upload, None)
                return web.Response(status=204)
        if upload not in self.blobs:
            return web.Response(status=404)
        return self._blob(request, self.blobs[upload])

    def _blob(self, request: web.Request, content: bytes) -> web.Response:
        first = request.http_range.start or 0 if self.ranges else 0
        if not first:
            return web.Response(body=content)
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return web.Response(status=206, body=content[first:], headers={"Content-Range": span})


@asynccontextmanager
async def bad_registry(tls: ssl.SSLContext | None = None) -> AsyncIterator[BadRegistry]:
    registry = BadRegistry()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", registry.handle)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    registry.url = str(server.make_url("")).rstrip("/")
    try:
        yield registry
    finally:
        await server.close()


def status(code: int, body: str = "", **headers: str) -> Handler:
    """After all was read. Header names are written with ``_`` for ``-``."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, text=body, headers=said)

    return answer


async def good(_: web.Request) -> None:
    """As if nothing were."""


async def lost(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def cut(content: bytes, *, first: int = 0, whole: int | None = None) -> Handler:
    """``content`` and then nothing, of an answer that promised ``whole`` bytes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Length": str(len(content) + 1 if whole is None else whole)}
        if first:
            headers["Content-Range"] = f"bytes {first}-{first + 9}/*"
        response = web.StreamResponse(status=206 if first else 200, headers=headers)
        await response.prepare(request)
        await response.write(content)
        await asyncio.sleep(0.02)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        try:
            await response.write(b" " * 2**16)
        except ConnectionError:
            return response


async def early(request: web.Request) -> web.StreamResponse:
    """Before anything was read."""
    return web.Response(status=202, headers={"Location": str(request.rel_url)})


async def silent(_: web.Request) -> web.StreamResponse:
    """Longer than anybody waits."""
    await asyncio.sleep(1)
    return web.Response()
