"""The native API's search: one language for models and bentos."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import Field

from libs.chassis.http import Route, principal
from libs.chassis.openapi import Operation
from libs.chassis.pagination import Page, PageQuery
from libs.chassis.problems import json_response, read_query
from services.registry.domain import Kind, Repository, Version
from services.registry.service import Search


class SearchQuery(PageQuery):
    count: int = Field(50, ge=1, le=500, description="Items of a page, at most.")
    query: str = Field("", max_length=4096, description="In the language of docs/queries.md.")


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version as lists show it."""

    name: str
    version: str
    digest: str | None
    size_bytes: int
    labels: dict[str, str]
    metadata: Any
    created_at: datetime


class SearchApi:
    def __init__(self, search: Search, kind: Kind) -> None:
        self._search = search
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        said = Operation(
            f"find_{kind}s",
            f"Versions of {kind}s that fit a query",
            query=SearchQuery,
            answer=Page[FoundVersion],
        )
        path = f"/api/registry/{kind}s"
        return [Route("GET", path, self.find, action=f"{kind}.read", operation=said)]

    async def find(self, request: web.Request) -> web.Response:
        asked = read_query(request, SearchQuery)
        found = await self._search.find(
            principal(request).org_id,
            self._kind,
            asked.query,
            cursor=asked.cursor,
            count=asked.count,
        )
        return json_response(Page([_item(*each) for each in found.items], found.next))


def _item(repository: Repository, version: Version, size_bytes: int) -> FoundVersion:
    return FoundVersion(
        name=repository.name,
        version=version.version,
        digest=version.digest,
        size_bytes=size_bytes,
        labels=dict(version.labels),
        metadata=version.described.get("metadata") or {},
        created_at=version.created_at,
    )
