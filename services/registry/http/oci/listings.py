"""What a repository has: its tags, and what refers to a manifest."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from libs.chassis.http import Route
from libs.chassis.problems import json_response
from libs.contracts.mediatypes import OCI_INDEX
from libs.contracts.oci import OciCode
from services.registry.errors import OciRefusedError
from services.registry.http.oci.answers import place_of
from services.registry.manifests import require_digest
from services.registry.service import OciManifests

_MOST_TAGS: Final = 1000


class ListingsApi:
    def __init__(self, manifests: OciManifests) -> None:
        self._manifests = manifests

    def routes(self) -> list[Route]:
        path = "/v2/{name:.+}"
        return [
            Route("GET", f"{path}/tags/list", self.tags, action="image.read"),
            Route("GET", f"{path}/referrers/{{digest}}", self.referrers, action="image.read"),
        ]

    async def tags(self, request: web.Request) -> web.Response:
        """A page may be shorter than ``n``: where ``Link`` is, there are more."""
        place, count = place_of(request), _count(request)
        after = _text(request, "last") or ""
        page = await self._manifests.tags(place, after=after, count=count)
        more = {"n": str(count), "last": page.last}
        return json_response(
            {"name": place.repository, "tags": page.items},
            headers=_link(request, more) if page.last else None,
        )

    async def referrers(self, request: web.Request) -> web.Response:
        """Empty where nothing refers to the digest, whether anybody has it or not."""
        kind = _text(request, "artifactType")
        page = await self._manifests.referrers(
            place_of(request),
            require_digest(request.match_info["digest"]),
            kind=kind,
            after=_text(request, "last") or "",
        )
        filtered = {"artifactType": kind} if kind is not None else {}
        headers = {"OCI-Filters-Applied": "artifactType"} if filtered else {}
        if page.last:
            headers |= _link(request, {**filtered, "last": page.last})
        answer = json_response(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page.items}, headers=headers
        )
        answer.content_type = OCI_INDEX
        return answer


def _text(request: web.Request, name: str) -> str | None:
    said = request.query.get(name)
    if said is not None and not said.isprintable():
        raise OciRefusedError(OciCode.UNSUPPORTED, f"{name} cannot be {said[:100]!r}")
    return said


def _count(request: web.Request) -> int:
    said = request.query.get("n")
    if said is None:
        return _MOST_TAGS
    if not said.isascii() or not said.isdigit():
        raise OciRefusedError(OciCode.UNSUPPORTED, f"n is a number of tags, not {said[:100]!r}")
    return min(int(said[:9]), _MOST_TAGS)


def _link(request: web.Request, query: dict[str, str | None]) -> dict[str, str]:
    return {"Link": f'<{request.rel_url.raw_path}?{urlencode(query)}>; rel="next"'}
