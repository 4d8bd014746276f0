"""The native API's search: one language for models and bentos."""

from typing import Any, Final

from aiohttp import web

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response
from services.registry.domain import Kind, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.service import Search

_COUNT: Final = 50
_MOST: Final = 500
_FARTHEST: Final = 10_000


class SearchApi:
    def __init__(self, search: Search, kind: Kind) -> None:
        self._search = search
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        return [Route("GET", f"/api/registry/{kind}s", self.find, action=f"{kind}.read")]

    async def find(self, request: web.Request) -> web.Response:
        """``query`` in the language of docs/queries.md; ``start`` and ``count`` page through."""
        found = await self._search.find(
            principal(request).org_id,
            self._kind,
            request.query.get("query", ""),
            start=_number(request, "start", default=0, most=_FARTHEST),
            count=_number(request, "count", default=_COUNT, most=_MOST),
        )
        items = [_item(*each) for each in found.items]
        return json_response({"items": items, "more": found.more})


def _item(repository: Repository, version: Version, size_bytes: int) -> dict[str, Any]:
    return {
        "name": repository.name,
        "version": version.version,
        "digest": version.digest,
        "size_bytes": size_bytes,
        "labels": dict(version.labels),
        "metadata": version.described.get("metadata") or {},
        "created_at": version.created_at,
    }


def _number(request: web.Request, name: str, *, default: int, most: int) -> int:
    text = request.query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= most):  # noqa: PLR2004 - far above any
        raise QueryRefusedError(f"'{name}' must be a number up to {most}, not {text[:40]!r}")
    return int(text)
