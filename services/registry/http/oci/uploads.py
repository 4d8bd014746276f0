"""Blobs on their way in: whole, in pieces, or mounted from another repository."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.chassis.http import Route, accept_body
from libs.contracts.oci import OciCode
from services.registry.domain import OciUpload, Place
from services.registry.errors import OciRefusedError, OciUnknownError
from services.registry.http.oci.answers import place_of, received, require_name
from services.registry.http.receiving import arriving
from services.registry.manifests import require_digest
from services.registry.service import OciBlobs, Piece

_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]+|\*))?")


class UploadsApi:
    def __init__(self, images: OciBlobs, *, silence: timedelta) -> None:
        self._images = images
        self._silence = silence

    def routes(self) -> list[Route]:
        uploads, push = "/v2/{name:.+}/blobs/uploads", "image.push"
        one = uploads + "/{upload}"
        return [
            Route("POST", f"{uploads}/", self.begin, action=push, defers_body=True),
            Route("POST", uploads, self.begin, action=push, defers_body=True),
            Route("GET", one, self.status, action=push),
            Route("PATCH", one, self.append, action=push, defers_body=True),
            Route("PUT", one, self.finish, action=push, defers_body=True),
            Route("DELETE", one, self.cancel, action=push),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        """With ``digest`` the blob is the body; with ``mount`` it may be here already."""
        place, query = place_of(request), request.query
        if "mount" in query and await self._mounted(place, query["mount"], query.get("from")):
            return _created(place, query["mount"])
        digest = require_digest(query["digest"]) if "digest" in query else None
        upload = await self._images.begin(place)
        if digest is None:
            return _going_on(place, upload)
        await self._images.finish(place, upload.id, await self._piece(request), digest=digest)
        return _created(place, digest)

    async def _mounted(self, place: Place, digest: str, source: str | None) -> bool:
        """Without ``from`` the organisation's other repositories are looked through."""
        known = require_name(source) if source is not None else None
        return await self._images.mount(place, require_digest(digest), source=known)

    async def status(self, request: web.Request) -> web.Response:
        place = place_of(request)
        upload = await self._images.status(place, _upload_of(request))
        return _going_on(place, upload, status=204)

    async def append(self, request: web.Request) -> web.Response:
        place = place_of(request)
        piece = await self._piece(request)
        return _going_on(place, await self._images.append(place, _upload_of(request), piece))

    async def finish(self, request: web.Request) -> web.Response:
        place = place_of(request)
        digest = require_digest(request.query.get("digest", ""))
        piece = await self._piece(request)
        await self._images.finish(place, _upload_of(request), piece, digest=digest)
        return _created(place, digest)

    async def cancel(self, request: web.Request) -> web.Response:
        await self._images.cancel(place_of(request), _upload_of(request))
        return web.Response(status=204)

    async def _piece(self, request: web.Request) -> Piece:
        said, size = request.headers.get("Content-Range"), request.content_length
        first = None
        if said is not None:
            found = _RANGE.fullmatch(said.strip())
            if found is None or int(found[2]) < int(found[1]):
                raise OciRefusedError(OciCode.BLOB_UPLOAD_INVALID, f"{said[:100]!r} is no range")
            first, spanned = int(found[1]), int(found[2]) - int(found[1]) + 1
            if size not in {None, spanned}:
                raise OciRefusedError(
                    OciCode.SIZE_INVALID, f"the range has {spanned} bytes, the body {size}"
                )
            size = spanned
        return Piece(self._body(request), first, size)

    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        await accept_body(request)
        async for chunk in arriving(request, self._silence):
            yield chunk


def _upload_of(request: web.Request) -> UUID:
    said = request.match_info["upload"]
    try:
        return UUID(said)
    except ValueError as error:
        raise OciUnknownError(
            OciCode.BLOB_UPLOAD_UNKNOWN, f"there is no upload {said[:100]!r}"
        ) from error


def _going_on(place: Place, upload: OciUpload, *, status: int = 202) -> web.Response:
    return web.Response(
        status=status,
        headers={
            "Location": f"/v2/{place.repository}/blobs/uploads/{upload.id}",
            "Range": received(upload.offset_bytes),
            "Docker-Upload-UUID": str(upload.id),
        },
    )


def _created(place: Place, digest: str) -> web.Response:
    return web.Response(
        status=201,
        headers={
            "Location": f"/v2/{place.repository}/blobs/{digest}",
            "Docker-Content-Digest": digest,
        },
    )
