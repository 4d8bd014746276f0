"""Manifests by tag or digest, as they were sent."""

from aiohttp import web

from libs.chassis.http import Route, accept_body
from libs.chassis.problems import read_bytes
from libs.contracts.oci import OciCode
from services.registry.errors import OciRefusedError, OciUnknownError
from services.registry.http.oci.answers import is_known, place_of
from services.registry.manifests import LIMIT, is_tag, require_digest
from services.registry.service import OciManifests


class ManifestsApi:
    def __init__(self, manifests: OciManifests) -> None:
        self._manifests = manifests

    def routes(self) -> list[Route]:
        path = "/v2/{name:.+}/manifests/{reference}"
        return [
            Route("GET", path, self.get, action="image.read"),
            Route("HEAD", path, self.get, action="image.read"),
            Route("PUT", path, self.push, action="image.push", defers_body=True),
            Route("DELETE", path, self.delete, action="image.delete"),
        ]

    async def get(self, request: web.Request) -> web.Response:
        manifest = await self._manifests.find(place_of(request), _known(request))
        headers = {
            "Content-Type": manifest.media_type,
            "Docker-Content-Digest": manifest.digest,
            "ETag": f'"{manifest.digest}"',
        }
        if is_known(request, manifest.digest):
            return web.Response(status=304, headers=headers)
        return web.Response(body=manifest.content, headers=headers)

    async def push(self, request: web.Request) -> web.Response:
        place, reference = place_of(request), request.match_info["reference"]
        if ":" in reference:
            require_digest(reference)
        elif not is_tag(reference):
            raise OciRefusedError(OciCode.MANIFEST_INVALID, f"{reference[:200]!r} is no tag")
        await accept_body(request)
        content = await read_bytes(request, limit=LIMIT)
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
        pushed = await self._manifests.push(place, reference, content, media_type=media_type)
        headers = {
            "Location": f"/v2/{place.repository}/manifests/{pushed.digest}",
            "Docker-Content-Digest": pushed.digest,
        }
        if pushed.subject is not None:
            headers["OCI-Subject"] = pushed.subject
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        await self._manifests.remove(place_of(request), _known(request))
        return web.Response(status=202)


def _known(request: web.Request) -> str:
    """A reference that something may have: what can be no tag, nobody has pushed."""
    reference = request.match_info["reference"]
    if ":" in reference:
        return require_digest(reference)
    if not is_tag(reference):
        detail = f"there can be no manifest {reference[:200]!r}"
        raise OciUnknownError(OciCode.MANIFEST_UNKNOWN, detail)
    return reference
