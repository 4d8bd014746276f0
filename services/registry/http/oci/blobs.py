"""Blobs read and removed."""

from aiohttp import web

from libs.chassis.http import Route, stream_response
from services.registry.http.oci.answers import is_known, place_of
from services.registry.http.ranges import begun, span_of
from services.registry.manifests import require_digest
from services.registry.service import Integrity, OciBlobs


class BlobsApi:
    def __init__(self, images: OciBlobs, integrity: Integrity) -> None:
        self._images = images
        self._integrity = integrity

    def routes(self) -> list[Route]:
        path = "/v2/{name:.+}/blobs/{digest}"
        return [
            Route("GET", path, self.get, action="image.read"),
            Route("HEAD", path, self.get, action="image.read"),
            Route("DELETE", path, self.delete, action="image.delete"),
        ]

    async def get(self, request: web.Request) -> web.StreamResponse:
        place = place_of(request)
        digest = require_digest(request.match_info["digest"])
        blob = await self._images.find(place, digest)
        etag = f'"{digest}"'
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "ETag": etag,
            "Accept-Ranges": "bytes",
        }
        if is_known(request, digest):
            return web.Response(status=304, headers=headers)
        # Nothing has no ranges: its first byte would be behind its end.
        if blob.size_bytes == 0:
            return web.Response(headers=headers)
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

    async def delete(self, request: web.Request) -> web.Response:
        digest = require_digest(request.match_info["digest"])
        await self._images.remove(place_of(request), digest)
        return web.Response(status=202)
