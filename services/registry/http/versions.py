"""Repositories and versions of one kind, as BentoML's clients create, list and read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import Slug
from services.registry.domain import Kind, Repository, Version
from services.registry.errors import (
    QueryRefusedError,
    RepositoryNotFoundError,
    VersionNotFoundError,
)
from services.registry.http.strategy import CLIENT, told
from services.registry.query import UPLOADED, QueryError, Term, WireQuery, parse_wire
from services.registry.service import Listing, UseCases
from services.registry.views import full_view, page, version_view

_BODY: Final = 16 * 2**20
_ALL: Final = 100_000
_PAGE: Final = 1000


Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""What Postgres can store: anything but NUL."""


class Label(BaseModel):
    key: Text = Field(max_length=256)
    value: Text = Field(max_length=1024)


class UpdateVersion(BaseModel):
    model_config = ConfigDict(extra="ignore")

    description: Text = Field(default="", max_length=4 * 2**20)
    manifest: dict[str, JsonValue]
    labels: list[Label] | None = None

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((each.key, each.value) for each in self.labels or [])


class CreateVersion(UpdateVersion):
    version: Slug
    build_at: datetime

    @field_validator("build_at")
    @classmethod
    def _utc(cls, at: datetime) -> datetime:
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class VersionsApi:
    def __init__(self, cases: UseCases, kind: Kind) -> None:
        self._registry = cases.registry
        self._transfers = cases.transfers
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        one = f"/api/v1/{kind}_repositories/{{repository}}"
        many, version = f"{one}/{kind}s", f"{one}/{kind}s/{{version}}"
        read, push = f"{kind}.read", f"{kind}.push"
        return [
            Route("GET", many, self.versions, action=read),
            Route("POST", many, self.create, action=push),
            Route("GET", version, self.get, action=read),
            Route("PATCH", version, self.update, action=push),
            Route("GET", f"/api/v1/{kind}s", self.everything, action=read),
        ]

    async def versions(self, request: web.Request) -> web.Response:
        """Where there are no bentos it is 404, of models an empty list: the client wants it so."""
        try:
            repository = await self._repository(request)
        except RepositoryNotFoundError:
            if self._kind is Kind.BENTO:
                raise
            return json_response(page([], start=0, total=0))
        listed = await self._listed(request, repository, default=_PAGE)
        if self._kind is Kind.BENTO and CLIENT in request.headers and not listed["total"]:
            raise VersionNotFoundError(f"nothing of '{repository.name}' was uploaded")
        return json_response(listed)

    async def everything(self, request: web.Request) -> web.Response:
        return json_response(await self._listed(request, None, default=_ALL))

    async def _listed(
        self, request: web.Request, repository: Repository | None, *, default: int
    ) -> dict[str, Any]:
        """Clients take the first there is, whatever is said of it: they see what was uploaded."""
        if any("\0" in value for value in request.query.values()):
            raise QueryRefusedError("a NUL is nowhere to be found")
        query = wire_query(request.query.get("q", ""))
        if search := request.query.get("search"):
            query = replace(query, terms=(*query.terms, Term("name", (search,))))
        if CLIENT in request.headers:
            query = replace(query, terms=(*query.terms, UPLOADED))
        person = principal(request).person
        listing = Listing(
            repository.id if repository else None,
            query,
            person.name if person else "",
            start=number(request, "start", default=0),
            count=number(request, "count", default=default),
        )
        total, found = await self._registry.newest(principal(request).org_id, self._kind, listing)
        items = [full_view(*each) for each in found]
        return page(items, start=listing.start, total=total)

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, CreateVersion, limit=_BODY)
        repository = await self._repository(request)
        draft = self._registry.draft(
            repository,
            body.version,
            description=body.description,
            manifest=_json(body.manifest),
            labels=body.pairs,
            build_at=body.build_at,
            creator=principal(request).person,
        )
        return await self._view(request, await self._registry.create_version(repository, draft))

    async def get(self, request: web.Request) -> web.Response:
        repository = await self._repository(request)
        found = await self._registry.find(repository, request.match_info["version"])
        shown = full_view(repository, found, await self._newest(repository))
        return json_response(shown | await told(request, self._transfers, found))

    async def update(self, request: web.Request) -> web.Response:
        body = await read_body(request, UpdateVersion, limit=_BODY)
        found = await self._registry.find(
            await self._repository(request), request.match_info["version"]
        )
        revised = await self._registry.revise(
            found,
            description=body.description,
            manifest=_json(body.manifest),
            labels=found.labels if body.labels is None else body.pairs,
        )
        return await self._view(request, revised)

    async def _repository(self, request: web.Request) -> Repository:
        name = request.match_info["repository"]
        return await self._registry.repository(principal(request).org_id, self._kind, name)

    async def _newest(self, repository: Repository) -> Version | None:
        listing = Listing(repository.id)
        _, found = await self._registry.newest(repository.org_id, self._kind, listing)
        return found[0][1] if found else None

    async def _view(self, request: web.Request, version: Version) -> web.Response:
        shown = version_view(version, self._kind)
        return json_response(shown | await told(request, self._transfers, version))


def wire_query(text: str) -> WireQuery:
    """Raises ``QueryRefusedError`` with the place of what is not understood."""
    try:
        return parse_wire(text)
    except QueryError as error:
        raise QueryRefusedError(str(error), at=error.at) from error


def number(request: web.Request, name: str, *, default: int) -> int:
    text = request.query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 9):  # noqa: PLR2004 -- below 2^31
        raise QueryRefusedError(f"'{name}' must be a number, not {text[:40]!r}")
    return int(text)


def _json(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False)
