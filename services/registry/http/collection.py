"""The native API's trash, and what is collected."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from pydantic import AwareDatetime, Field

from libs.chassis.http import Route, principal
from libs.chassis.openapi import Body, Operation
from libs.chassis.pagination import Page, PageQuery, keys_in, page_of
from libs.chassis.problems import json_response, read_body, read_query
from services.registry.domain import Kind, Trashed
from services.registry.service import Collection, Deletion, Taken


class TrashQuery(PageQuery):
    kind: Kind | None = Field(None, description="Only these.")


class Collect(Body):
    """``empty``: the whole trash goes now, not only what is due."""

    empty: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class InTrash:
    kind: str
    name: str
    version: str
    digest: str | None
    size_bytes: int
    deleted_at: datetime
    deleted_by: str
    purge_at: datetime


@dataclass(frozen=True, slots=True)
class Going(InTrash):
    reason: str


@dataclass(frozen=True, slots=True)
class UnneededBytes:
    digest: str
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """``braked``: so much would go that it takes ``force``."""

    trash: list[Going]
    unneeded: list[UnneededBytes]
    others_bytes: int
    braked: bool


class CollectionApi:
    def __init__(self, deletion: Deletion, collection: Collection) -> None:
        self._deletion = deletion
        self._collection = collection

    def routes(self) -> list[Route]:
        trash, gc = "/api/registry/trash", "/api/registry/gc"
        return [
            Route("GET", trash, self.trash, action="trash.read", operation=_TRASH),
            Route("GET", gc, self.plan, action="trash.read", operation=_PLAN),
            Route("POST", gc, self.run, action="trash.empty", operation=_RUN),
        ]

    async def trash(self, request: web.Request) -> web.Response:
        asked = read_query(request, TrashQuery)
        found = await self._deletion.trash(
            principal(request).org_id,
            asked.kind,
            before=keys_in(asked.cursor, (AwareDatetime, UUID)) if asked.cursor else None,
            count=asked.count + 1,
        )
        keyed = [(_trashed(each), (each.deleted_at, each.id)) for each in found]
        return json_response(page_of(keyed, asked.count))

    async def plan(self, request: web.Request) -> web.Response:
        found = await self._collection.plan(principal(request).org_id)
        plan = CollectionPlan(
            trash=[
                _going(each, f"in the trash since {each.deleted_at:%Y-%m-%d}")
                for each in found.trash
            ],
            unneeded=[
                UnneededBytes(
                    each.digest,
                    each.size_bytes,
                    f"nothing points to it since {each.released_at:%Y-%m-%d}",
                )
                for each in found.unneeded
            ],
            others_bytes=found.others_bytes,
            braked=found.braked,
        )
        return json_response(plan)

    async def run(self, request: web.Request) -> web.Response:
        body = await read_body(request, Collect)
        if body.empty:
            org_id = principal(request).org_id
            return json_response(await self._collection.empty(org_id, force=body.force))
        return json_response(await self._collection.run(force=body.force))


def _trashed(version: Trashed) -> InTrash:
    return InTrash(
        version.kind,
        version.repository,
        version.version,
        version.digest,
        version.size_bytes,
        version.deleted_at,
        version.deleted_by,
        version.purge_at,
    )


def _going(version: Trashed, reason: str) -> Going:
    return Going(**asdict(_trashed(version)), reason=reason)


_TRASH = Operation("trash", "What can be brought back", query=TrashQuery, answer=Page[InTrash])
_PLAN = Operation("plan_collection", "What would be collected now, and why", answer=CollectionPlan)
_RUN = Operation("collect", "Collect what nothing needs", body=Collect, answer=Taken)
