"""The bytes of versions: hashed and checked while received, checked while they are sent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from aiohttp import web
from pydantic import BaseModel, ConfigDict
from yaml import CSafeLoader, YAMLError, load

from libs.chassis.blobs import Blob, BlobStore, NoSpaceError
from libs.chassis.errors import ServiceError
from libs.chassis.http import Route, accept_body, principal, stream_response
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import cut
from services.registry.archive import ArchiveWalk
from services.registry.domain import Kind, Repository, Upload, Version
from services.registry.errors import ArchiveRefusedError, NotUploadedError
from services.registry.http.ranges import begun, span_of
from services.registry.service import INTERRUPTED, Flow, Integrity, Registry, Uploads
from services.registry.views import version_view


class FinishUpload(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: Upload
    reason: str | None = None


class BytesApi:
    def __init__(
        self,
        registry: Registry,
        uploads: Uploads,
        blobs: BlobStore,
        *,
        integrity: Integrity,
        kind: Kind,
    ) -> None:
        self._registry = registry
        self._uploads = uploads
        self._blobs = blobs
        self._integrity = integrity
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        version = f"/api/v1/{kind}_repositories/{{repository}}/{kind}s/{{version}}"
        read, push = f"{kind}.read", f"{kind}.push"
        return [
            Route("PATCH", f"{version}/presign_upload_url", self.show, action=push),
            Route("PATCH", f"{version}/presign_download_url", self.show, action=read),
            Route("PATCH", f"{version}/start_upload", self.start, action=push),
            Route("PATCH", f"{version}/finish_upload", self.finish, action=push),
            Route("PUT", f"{version}/upload", self.upload, action=push, defers_body=True),
            Route("GET", f"{version}/download", self.download, action=read),
            Route("HEAD", f"{version}/download", self.download, action=read),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """No presigned URL: bytes pass through the platform."""
        _, version = await self._found(request)
        return self._view(version)

    async def start(self, request: web.Request) -> web.Response:
        """Only a model's size is known here: a bento's counts the models beside it."""
        _, version = await self._found(request)
        size = version.described.get("size_bytes") if self._kind is Kind.MODEL else 0
        announced = size if isinstance(size, int) and size > 0 else 0
        self._blobs.require(announced)
        return self._view(await self._uploads.announce(version, announced))

    async def finish(self, request: web.Request) -> web.Response:
        body = await read_body(request, FinishUpload)
        _, version = await self._found(request)
        if body.status is Upload.FAILED:
            reason = cut(body.reason or "the client gave up")
            version = await self._uploads.give_up(version, reason)
        elif version.upload_status != Upload.SUCCESS:
            raise NotUploadedError("finish_upload without bytes: send them to …/upload first")
        return self._view(version)

    async def upload(self, request: web.Request) -> web.Response:
        repository, version = await self._found(request)
        upload = await self._begin(version, request.content_length or 0)
        try:
            blob = await self._receive(request, repository, upload)
            return self._view(await self._uploads.finish(repository, upload, blob))
        except ServiceError as error:
            await self._uploads.fail(upload, cut(error.detail))
            raise
        except (OSError, web.HTTPException, web.RequestPayloadError):
            await self._uploads.fail(upload, INTERRUPTED)
            raise

    async def _begin(self, version: Version, size: int) -> Version:
        try:
            self._blobs.require(size)
        except NoSpaceError as error:
            await self._uploads.give_up(version, error.detail)
            raise
        return await self._uploads.begin(version, size)

    async def _receive(self, request: web.Request, repository: Repository, upload: Version) -> Blob:
        walk = ArchiveWalk(self._kind.description_file)
        flow = Flow(self._uploads, upload)
        await accept_body(request)
        async with self._blobs.receive(walk, size=request.content_length) as receiving:
            received = 0
            async for chunk in arriving(request, self._uploads.silence):
                received += len(chunk)
                await flow.received(received)
                await receiving.write(chunk)
            if request.content_length not in {None, received}:
                raise ArchiveRefusedError("the archive is truncated: the connection broke")
            await flow.received(received, whole=True)
            blob = await receiving.commit()
        described(walk.finish(), f"{repository.name}:{upload.version}")
        return blob

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


async def arriving(request: web.Request, silence: timedelta) -> AsyncIterator[bytes]:
    """The body as it comes; a client that sends nothing for ``silence`` is gone."""
    while True:
        try:
            async with asyncio.timeout(silence.total_seconds()):
                chunk = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"nothing came for {silence}") from None
        if not chunk:
            return
        yield chunk


def described(content: bytes, tag: str) -> None:
    """The archive must say of itself that it is ``tag``."""
    try:
        said = load(content, Loader=CSafeLoader)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ArchiveRefusedError(f"its description is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ArchiveRefusedError("its description is no mapping")
    name = f"{said.get('name')}:{said.get('version')}"
    if name != tag:
        raise ArchiveRefusedError(f"the archive is {name[:200]!r}, not '{tag}'")
