"""The native API's aliases: ``production`` of a model or bento, moved with compare-and-set."""

from dataclasses import asdict
from functools import partial
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from libs.chassis.auth import require
from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import Slug
from services.registry.domain import Alias, Kind, Move, Repository
from services.registry.errors import AliasNotFoundError, QueryRefusedError
from services.registry.service import Aliases, Registry

_PAGE: Final = 100


class MoveAlias(BaseModel):
    """``expected`` is the version that the alias points to now; null where there is none."""

    model_config = ConfigDict(extra="forbid")

    version: Slug
    expected: Slug | None


class ProtectAlias(BaseModel):
    model_config = ConfigDict(extra="forbid")

    protected: bool


class AliasApi:
    def __init__(self, registry: Registry, aliases: Aliases, kind: Kind) -> None:
        self._registry = registry
        self._aliases = aliases
        self._kind = kind

    def routes(self) -> list[Route]:
        top = f"/api/registry/{self._kind}s/{{repository}}/aliases"
        one, read = f"{top}/{{alias}}", f"{self._kind}.read"
        return [
            Route("GET", top, self.all, action=read),
            Route("GET", one, self.one, action=read),
            Route("GET", f"{one}/history", self.history, action=read),
            Route("PUT", one, self.move, action="alias.move"),
            Route("DELETE", one, self.remove, action="alias.move"),
            Route("PATCH", one, self.protect, action="alias.protect"),
        ]

    async def all(self, request: web.Request) -> web.Response:
        found = await self._aliases.all(await self._repository(request))
        return json_response({"items": [_view(each) for each in found]})

    async def one(self, request: web.Request) -> web.Response:
        repository = await self._repository(request)
        return json_response(_view(await self._aliases.one(repository, _name(request))))

    async def history(self, request: web.Request) -> web.Response:
        """Newest first; ``before`` is the id of the last one seen."""
        found = await self._aliases.history(
            await self._repository(request), _name(request), before=_before(request), count=_PAGE
        )
        return json_response({"items": [_moved(each) for each in found]})

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
        """``?expected=`` names the version that it points to."""
        await self._aliases.remove(
            await self._repository(request),
            _name(request),
            expected=request.query.get("expected"),
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


def _before(request: web.Request) -> UUID | None:
    text = request.query.get("before")
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise QueryRefusedError(f"'before' must be an id of the list, not {text!r}") from error


def _view(alias: Alias) -> dict[str, Any]:
    shown = asdict(alias)
    return {key: shown[key] for key in ("name", "version", "protected", "seq", "moved_at")}


def _moved(move: Move) -> dict[str, Any]:
    return {"id": str(move.id), **{k: v for k, v in asdict(move).items() if k != "id"}}
