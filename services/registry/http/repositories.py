"""Repositories, as BentoML's clients and Yatai's dashboard create, describe and list them."""

from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.contracts.identity import Person, Principal
from libs.contracts.types import Slug
from services.registry.domain import Kind, Repository
from services.registry.errors import QueryRefusedError
from services.registry.http.versions import Label, Text, number
from services.registry.service import Shelf, UseCases
from services.registry.views import page, repository_view, shelf_view

_PAGE = 100_000


class CreateRepository(BaseModel):
    """Clients of every age add fields of their own; what we do not know we do not store."""

    name: Slug
    description: Text = ""
    labels: list[Label] | None = Field(default=None, max_length=100)


class UpdateRepository(BaseModel):
    """What is null or left out stays; labels are replaced as a whole."""

    description: Text | None = Field(default=None, max_length=4 * 2**20)
    labels: list[Label] | None = Field(default=None, max_length=100)


class RepositoriesApi:
    def __init__(self, cases: UseCases, kind: Kind) -> None:
        self._registry = cases.registry
        self._repositories = cases.repositories
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        top, one = f"/api/v1/{kind}_repositories", f"/api/v1/{kind}_repositories/{{repository}}"
        return [
            Route("GET", top, self.all, action=f"{kind}.read"),
            Route("POST", top, self.create, action=f"{kind}.push"),
            Route("GET", one, self.one, action=f"{kind}.read"),
            Route("PATCH", one, self.update, action=f"{kind}.push"),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """``search`` and the words of ``q`` are parts of a name."""
        words = [*request.query.get("q", "").split(), request.query.get("search", "")]
        wanted = [each for each in words if each and not each.startswith("sort:")]
        if len(wanted) > 1 or any(":" in each or "\0" in each for each in wanted):
            raise QueryRefusedError("repositories are found by one part of their name")
        start = number(request, "start", default=0)
        total, found = await self._repositories.page(
            principal(request).org_id,
            self._kind,
            search=wanted[0] if wanted else None,
            start=start,
            count=number(request, "count", default=_PAGE),
        )
        return json_response(page([_view(each) for each in found], start=start, total=total))

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, CreateRepository)
        caller = principal(request)
        made = await self._repositories.create(
            caller.org_id,
            self._kind,
            name=body.name,
            description=body.description,
            creator=_creator(caller),
            labels=tuple((each.key, each.value) for each in body.labels or []),
        )
        return json_response(repository_view(made))

    async def one(self, request: web.Request) -> web.Response:
        found = await self._found(request)
        return json_response(_view(await self._repositories.shelf(found)))

    async def update(self, request: web.Request) -> web.Response:
        body = await read_body(request, UpdateRepository, limit=8 * 2**20)
        labels = None
        if body.labels is not None:
            labels = {each.key: each.value for each in body.labels}
        revised = await self._repositories.revise(
            await self._found(request), description=body.description, labels=labels
        )
        return json_response(_view(await self._repositories.shelf(revised)))

    async def _found(self, request: web.Request) -> Repository:
        name = request.match_info["repository"]
        return await self._registry.repository(principal(request).org_id, self._kind, name)


class LabelsApi:
    """What the filter bar of Yatai's dashboard offers."""

    def __init__(self, cases: UseCases) -> None:
        self._repositories = cases.repositories

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/labels", self.labels, action="label.read"),
            Route("GET", "/api/v1/current_org/model_modules", self.modules, action="model.read"),
        ]

    async def labels(self, request: web.Request) -> web.Response:
        asked = request.query.get("resource_type", "")
        kind, _, of = asked.partition("_")
        if kind not in {*Kind} or of not in {"", "repository"}:
            known = ", ".join([*Kind, *(f"{each}_repository" for each in Kind)])
            raise QueryRefusedError(f"'resource_type' is one of {known}")
        found = await self._repositories.labels(
            principal(request).org_id, kind, of_repositories=bool(of)
        )
        return json_response(found)

    async def modules(self, request: web.Request) -> web.Response:
        return json_response(await self._repositories.modules(principal(request).org_id))


def _view(shelf: Shelf) -> dict[str, Any]:
    sizes = shelf.sizes
    return shelf_view(
        shelf.repository,
        shelf.latest,
        count=sizes.versions,
        size=sizes.size_bytes,
        stored=sizes.stored_bytes,
    )


def _creator(caller: Principal) -> Person:
    """The user, or the service that asks for itself."""
    if caller.person is not None:
        return caller.person
    return Person(id=UUID(int=0), name=caller.actor, email="", first_name="", last_name="")
