"""The bytes of versions, through us: hashed while received, checked while they are sent."""

from aiohttp import web

from libs.chassis.blobs import BlobStore
from libs.chassis.http import Route, principal, stream_response
from libs.chassis.problems import json_response
from services.registry.domain import Kind, Repository, Version
from services.registry.http.ranges import begun, span_of
from services.registry.http.receiving import Receiver
from services.registry.service import UseCases
from services.registry.views import version_view


class BytesApi:
    def __init__(self, cases: UseCases, blobs: BlobStore, *, kind: Kind) -> None:
        self._registry = cases.registry
        self._uploads = cases.uploads
        self._receiver = Receiver(cases.uploads, blobs)
        self._blobs = blobs
        self._integrity = cases.integrity
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        version = f"/api/v1/{kind}_repositories/{{repository}}/{kind}s/{{version}}"
        read, push = f"{kind}.read", f"{kind}.push"
        return [
            Route("PATCH", f"{version}/start_upload", self.start, action=push),
            Route("PUT", f"{version}/upload", self.upload, action=push, defers_body=True),
            Route("GET", f"{version}/download", self.download, action=read),
            Route("HEAD", f"{version}/download", self.download, action=read),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Only a model's size is known here: a bento's counts the models beside it."""
        _, version = await self._found(request)
        announced = version.told_bytes if self._kind is Kind.MODEL else 0
        self._blobs.require(announced)
        return self._view(await self._uploads.announce(version, announced))

    async def upload(self, request: web.Request) -> web.Response:
        return self._view(await self._receiver.receive(request, *await self._found(request)))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Whole, or the rest of one that broke off (``Range``, ``If-Range``)."""
        _, version = await self._found(request)
        blob = await self._registry.blob_of(version)
        etag = f'"{blob.digest}"'
        headers = {"Content-Type": "application/x-tar", "ETag": etag, "Accept-Ranges": "bytes"}
        span = span_of(request, size=blob.size_bytes, etag=etag)
        if span is None:
            beyond = {"Content-Range": f"bytes */{blob.size_bytes}"}
            return web.Response(status=416, headers=headers | beyond)
        headers["Content-Length"] = str(span.length)
        if not span.is_whole:
            headers["Content-Range"] = span.header
        return await stream_response(
            request,
            await begun(self._integrity.read(blob, first=span.first, length=span.length)),
            headers=headers,
            status=200 if span.is_whole else 206,
        )

    async def _found(self, request: web.Request) -> tuple[Repository, Version]:
        name = request.match_info["repository"]
        repository = await self._registry.repository(principal(request).org_id, self._kind, name)
        return repository, await self._registry.find(repository, request.match_info["version"])

    def _view(self, version: Version) -> web.Response:
        return json_response(version_view(version, self._kind))
