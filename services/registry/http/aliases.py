"""The native API's aliases: ``production`` of a model or bento, moved with compare-and-set."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from aiohttp import web
from pydantic import Field

from libs.chassis.auth import require
from libs.chassis.http import Route, principal
from libs.chassis.openapi import Body, Operation, Query
from libs.chassis.pagination import Page, PageQuery, keys_in, page_of
from libs.chassis.problems import json_response, read_body, read_query
from libs.contracts.types import Slug
from services.registry.domain import Alias, Kind, Move, Repository
from services.registry.errors import AliasNotFoundError
from services.registry.service import Aliases, Registry


class MoveAlias(Body):
    """``expected`` is the version that the alias points to now; null where there is none."""

    version: Slug
    expected: Slug | None


class ProtectAlias(Body):
    protected: bool


class RemoveAlias(Query):
    expected: str = Field(description="The version that it points to.")


@dataclass(frozen=True, slots=True)
class AliasShown:
    name: str
    version: str
    protected: bool
    seq: int
    moved_at: datetime


class AliasApi:
    def __init__(self, registry: Registry, aliases: Aliases, kind: Kind) -> None:
        self._registry = registry
        self._aliases = aliases
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        top = f"/api/registry/{kind}s/{{repository}}/aliases"
        one, read = f"{top}/{{alias}}", f"{kind}.read"
        return [
            Route("GET", top, self.all, action=read, operation=_ALL.of(kind)),
            Route("GET", one, self.one, action=read, operation=_ONE.of(kind)),
            Route("GET", f"{one}/history", self.history, action=read, operation=_HISTORY.of(kind)),
            Route("PUT", one, self.move, action="alias.move", operation=_MOVE.of(kind)),
            Route("DELETE", one, self.remove, action="alias.move", operation=_REMOVE.of(kind)),
            Route("PATCH", one, self.protect, action="alias.protect", operation=_PROTECT.of(kind)),
        ]

    async def all(self, request: web.Request) -> web.Response:
        asked = read_query(request, PageQuery)
        (after,) = keys_in(asked.cursor, (str,)) if asked.cursor else ("",)
        repository = await self._repository(request)
        found = await self._aliases.all(repository, after=after, count=asked.count + 1)
        return json_response(page_of([(_view(each), [each.name]) for each in found], asked.count))

    async def one(self, request: web.Request) -> web.Response:
        repository = await self._repository(request)
        return json_response(_view(await self._aliases.one(repository, _name(request))))

    async def history(self, request: web.Request) -> web.Response:
        asked = read_query(request, PageQuery)
        (before,) = keys_in(asked.cursor, (UUID,)) if asked.cursor else (None,)
        found = await self._aliases.history(
            await self._repository(request), _name(request), before=before, count=asked.count + 1
        )
        return json_response(page_of([(each, [each.id]) for each in found], asked.count))

    async def move(self, request: web.Request) -> web.Response:
        body = await read_body(request, MoveAlias)
        repository = await self._repository(request)
        moved = await self._aliases.move(
            repository,
            _name(request),
            to=await self._registry.find(repository, body.version),
            expected=body.expected,
            actor=principal(request).actor,
            may_protect=partial(require, principal(request), "alias.protect"),
        )
        return json_response(_view(moved))

    async def remove(self, request: web.Request) -> web.Response:
        asked = read_query(request, RemoveAlias)
        await self._aliases.remove(
            await self._repository(request),
            _name(request),
            expected=asked.expected,
            actor=principal(request).actor,
            may_protect=partial(require, principal(request), "alias.protect"),
        )
        return web.Response(status=204)

    async def protect(self, request: web.Request) -> web.Response:
        body = await read_body(request, ProtectAlias)
        repository = await self._repository(request)
        changed = await self._aliases.protect(repository, _name(request), protected=body.protected)
        return json_response(_view(changed))

    async def _repository(self, request: web.Request) -> Repository:
        name = request.match_info["repository"]
        return await self._registry.repository(principal(request).org_id, self._kind, name)


def _name(request: web.Request) -> str:
    name = request.match_info["alias"]
    if not name.isascii() or not name.replace("-", "").isalnum() or name != name.lower():
        raise AliasNotFoundError(f"'{name[:80]}' cannot be an alias: small letters, digits and '-'")
    return name


def _view(alias: Alias) -> AliasShown:
    return AliasShown(alias.name, alias.version, alias.protected, alias.seq, alias.moved_at)


_ALL = Operation("{}_aliases", "Aliases of a repository", query=PageQuery, answer=Page[AliasShown])
_ONE = Operation("{}_alias", "What an alias points to", answer=AliasShown)
_HISTORY = Operation(
    "{}_alias_history",
    "Who moved an alias, when; newest first",
    query=PageQuery,
    answer=Page[Move],
)
_MOVE = Operation(
    "move_{}_alias",
    "Point an alias to a version, if it points where it is expected to",
    body=MoveAlias,
    answer=AliasShown,
    once=True,
)
_REMOVE = Operation("remove_{}_alias", "Remove an alias", query=RemoveAlias, status=204, once=True)
_PROTECT = Operation(
    "protect_{}_alias",
    "Protect an alias: moving it takes a permission of its own",
    body=ProtectAlias,
    answer=AliasShown,
    once=True,
)
