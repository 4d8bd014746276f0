"""One repository of a registry, opened for a while to a program that may not have our credentials.

It listens on this machine alone, and lets in who shows a password that was made for it. Bytes pass
as they come, both ways; who we are is told to the registry only.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from libs.chassis.errors import ServiceError
from libs.chassis.lifecycle import listen
from services.builder.errors import BuildFailedError
from services.builder.oci.access.protocol import basic
from services.builder.oci.transport import Transport

_READS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = _READS | {"POST", "PATCH", "PUT"}
_WORD: Final = "[A-Za-z0-9_][A-Za-z0-9_.:+=-]*"
_PLACES: Final = rf"(?:(?:manifests|blobs)/{_WORD}|tags/list|blobs/uploads/(?:{_WORD})?)"
_TAG: Final = re.compile("/manifests/([^:/]+)$")
_FOREIGN: Final = frozenset({"mount", "from"})
"""Of a query: what asks for bytes of another repository. Without it an upload begins."""
_ASKED: Final = ("Accept", "Content-Length", "Content-Range", "Content-Type", "Range")
_ANSWERED: Final = (
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Upload-UUID",
    "ETag",
    "Range",
)
_SPOKEN: Final = {"Docker-Distribution-API-Version": "registry/2.0"}
_UNASKED: Final = frozenset({401, 403, 407})
_REFUSED: Final = 400
_CRASH: Final = 500
_USERNAME: Final = "build"
_LAST: Final = 0.2
"""Seconds that a half-done answer has when the door closes."""


class Door:
    """``trouble`` is what the registry last refused or did not answer; nothing is asked then.

    ``used`` are the tags that were found or left behind it.
    """

    def __init__(self, transport: Transport, repository: str) -> None:
        self._transport = transport
        self._repository = repository
        self._places = re.compile(f"/v2/{re.escape(repository)}/{_PLACES}")
        self.authorization = basic(_USERNAME, token_urlsafe(32))
        self.host = ""
        self.used: set[str] = set()
        self.trouble: str | None = None

    @property
    def name(self) -> str:
        """The repository, as whoever comes through the door calls it."""
        return f"{self.host}/{self._repository}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Door"]:
        server = web.Server(
            self._answer, handler_cancellation=True, access_log=None, auto_decompress=False
        )
        runner = web.ServerRunner(server, shutdown_timeout=_LAST)
        await runner.setup()
        try:
            socket = listen("127.0.0.1", 0)
            self.host = f"127.0.0.1:{socket.getsockname()[1]}"
            await web.SockSite(runner, socket).start()
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        path = request.rel_url.raw_path
        if not compare_digest(shown, self.authorization.encode()):
            return _refusal(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="build"'})
        if path == "/v2/" and request.method in _READS:
            return web.json_response({}, headers=_SPOKEN)
        if self._places.fullmatch(path) is None or request.method not in _METHODS:
            return _refusal(403, "DENIED")
        if self.trouble is not None:
            return self._nothing(request)
        try:
            return await self._forwarded(request, path)
        except (ServiceError, BuildFailedError) as error:
            self.trouble = str(error)
            if request.writer.output_size > 0:
                raise  # which breaks the connection: there is no end to what was begun
            return self._nothing(request)

    def _nothing(self, request: web.BaseRequest) -> web.Response:
        """What is asked for is not there; to ask again is of no use."""
        if request.method in _READS:
            return _refusal(404, "MANIFEST_UNKNOWN")
        return _refusal(403, "DENIED")

    async def _forwarded(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        query = {name: text for name, text in request.query.items() if name not in _FOREIGN}
        reads, patience = request.method in _READS, self._transport.patience
        async with self._transport.answer(
            request.method,
            self._transport.at(path).with_query(query),
            scope=f"repository:{self._repository}:{'pull' if reads else 'pull,push'}",
            data=request.content if request.body_exists else None,
            headers=_only(request.headers, _ASKED),
            silence=patience.silence if reads else patience.finishing,
        ) as answer:
            self._judge(answer, reads=reads)
            if answer.ok and (tag := _TAG.search(path)):
                self.used.add(tag[1])
            reply = web.StreamResponse(
                status=answer.status, headers=_only(answer.headers, _ANSWERED) | self._way(answer)
            )
            await reply.prepare(request)
            with self._transport.translated():
                async for chunk in answer.content.iter_any():
                    await reply.write(chunk)
            await reply.write_eof()
            return reply

    def _judge(self, answer: aiohttp.ClientResponse, *, reads: bool) -> None:
        status = answer.status
        if status >= (_CRASH if reads else _REFUSED) or status in _UNASKED:
            self.trouble = f"{self._transport.name} answers {status}"

    def _way(self, answer: aiohttp.ClientResponse) -> dict[str, str]:
        """Where to go on: through the door again."""
        if "Location" not in answer.headers:
            return {}
        url: URL = self._transport.location(answer.url, answer.headers)
        if url.origin() != self._transport.base.origin():
            why = f"{self._transport.name} takes uploads elsewhere"
            raise BuildFailedError("registry-refused", why)
        return {"Location": url.raw_path_qs}


def _only(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _refusal(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    said = {"errors": [{"code": code, "message": "not through this door"}]}
    return web.json_response(said, status=status, headers=headers)
