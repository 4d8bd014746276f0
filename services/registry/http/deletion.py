"""The native API's deletions: the trash, rules of repositories, and what is collected."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import Slug
from services.registry.domain import Kind, Repository, Retention, Trashed
from services.registry.errors import QueryRefusedError, RetentionInvalidError
from services.registry.plan import Verdict
from services.registry.service import Collection, Deletion, UseCases

_PAGE: Final = 100


class PutRetention(BaseModel):
    """A version stays that any of these keeps. What is held or aliased stays anyway."""

    model_config = ConfigDict(extra="forbid")

    keep_last: int | None = Field(default=None, ge=1, le=100_000)
    keep_days: int | None = Field(default=None, ge=0, le=36_500)
    keep_labels: dict[Slug, str] = Field(default_factory=dict, max_length=20)

    def rule(self) -> Retention:
        if self.keep_last is None and self.keep_days is None:
            raise RetentionInvalidError("give `keep_last`, `keep_days` or both")
        return Retention(self.keep_last, self.keep_days, dict(self.keep_labels))


class Collect(BaseModel):
    """``empty``: the whole trash goes now, not only what is due."""

    model_config = ConfigDict(extra="forbid")

    empty: bool = False
    force: bool = False


class DeletionApi:
    def __init__(self, cases: UseCases, *, kind: Kind) -> None:
        self._registry = cases.registry
        self._deletion = cases.deletion
        self._retentions = cases.retentions
        self._integrity = cases.integrity
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        one = f"/api/registry/{kind}s/{{repository}}"
        version, rule = f"{one}/versions/{{version}}", f"{one}/retention"
        delete, read = f"{kind}.delete", f"{kind}.read"
        return [
            Route("DELETE", one, self.delete_repository, action=delete),
            Route("DELETE", version, self.delete, action=delete),
            Route("POST", f"{version}/undelete", self.undelete, action=delete),
            Route("POST", f"{version}/verify", self.verify, action=read),
            Route("GET", rule, self.rule, action=read),
            Route("PUT", rule, self.put_rule, action=delete),
            Route("DELETE", rule, self.remove_rule, action=delete),
            Route("POST", f"{rule}/plan", self.plan_rule, action=read),
        ]

    async def delete(self, request: web.Request) -> web.Response:
        repository = await self._repository(request)
        version = await self._registry.find(repository, request.match_info["version"])
        until = await self._deletion.delete(repository, version, actor=principal(request).actor)
        return json_response({"version": version.version, "purge_at": until})

    async def delete_repository(self, request: web.Request) -> web.Response:
        until = await self._deletion.delete_repository(
            await self._repository(request), actor=principal(request).actor
        )
        return json_response({"purge_at": until})

    async def undelete(self, request: web.Request) -> web.Response:
        org_id, asked = principal(request).org_id, request.match_info
        await self._deletion.undelete(
            org_id, self._kind, repository=asked["repository"], version=asked["version"]
        )
        return json_response({"version": asked["version"]})

    async def verify(self, request: web.Request) -> web.Response:
        """Reads all of it, past any cache: seconds per gigabyte."""
        repository = await self._repository(request)
        version = await self._registry.find(repository, request.match_info["version"])
        blob = await self._registry.blob_of(version)
        is_right = await self._integrity.check(blob)
        return json_response(
            {"digest": blob.digest, "size_bytes": blob.size_bytes, "is_right": is_right}
        )

    async def rule(self, request: web.Request) -> web.Response:
        found = await self._retentions.rule(await self._repository(request))
        return json_response(asdict(found) if found else {})

    async def put_rule(self, request: web.Request) -> web.Response:
        """Says what it will do: the first time within minutes."""
        rule = (await read_body(request, PutRetention)).rule()
        repository = await self._repository(request)
        await self._retentions.put(repository, rule, actor=principal(request).actor)
        return _verdicts(await self._retentions.plan(repository, rule))

    async def plan_rule(self, request: web.Request) -> web.Response:
        """What the rule in the body would do; nothing is changed."""
        rule = (await read_body(request, PutRetention)).rule()
        return _verdicts(await self._retentions.plan(await self._repository(request), rule))

    async def remove_rule(self, request: web.Request) -> web.Response:
        await self._retentions.remove(await self._repository(request))
        return web.Response(status=204)

    async def _repository(self, request: web.Request) -> Repository:
        name = request.match_info["repository"]
        return await self._registry.repository(principal(request).org_id, self._kind, name)


class CollectionApi:
    def __init__(self, deletion: Deletion, collection: Collection) -> None:
        self._deletion = deletion
        self._collection = collection

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/registry/trash", self.trash, action="trash.read"),
            Route("GET", "/api/registry/gc", self.plan, action="trash.read"),
            Route("POST", "/api/registry/gc", self.run, action="trash.empty"),
        ]

    async def trash(self, request: web.Request) -> web.Response:
        """``kind`` and ``before`` (the ``deleted_at`` of the last one seen) narrow it."""
        found = await self._deletion.trash(
            principal(request).org_id, _kind(request), before=_moment(request), count=_PAGE
        )
        return json_response({"items": [_trashed(each) for each in found]})

    async def plan(self, request: web.Request) -> web.Response:
        """A dry run: what would go now, and why."""
        found = await self._collection.plan(principal(request).org_id)
        return json_response(
            {
                "trash": [
                    _trashed(each) | {"reason": f"in the trash since {each.deleted_at:%Y-%m-%d}"}
                    for each in found.trash
                ],
                "unneeded": [
                    {
                        "digest": each.digest,
                        "size_bytes": each.size_bytes,
                        "reason": f"nothing points to it since {each.released_at:%Y-%m-%d}",
                    }
                    for each in found.unneeded
                ],
                "others_bytes": found.others_bytes,
                "braked": found.braked,
            }
        )

    async def run(self, request: web.Request) -> web.Response:
        body = await read_body(request, Collect)
        if body.empty:
            org_id = principal(request).org_id
            return json_response(asdict(await self._collection.empty(org_id, force=body.force)))
        return json_response(asdict(await self._collection.run(force=body.force)))


def _verdicts(verdicts: list[Verdict]) -> web.Response:
    items = [
        {"version": each.version.version, "goes": each.goes, "reason": each.reason}
        for each in verdicts
    ]
    return json_response({"items": items})


def _trashed(version: Trashed) -> dict[str, Any]:
    return {
        "kind": version.kind,
        "name": version.repository,
        "version": version.version,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
        "deleted_at": version.deleted_at,
        "deleted_by": version.deleted_by,
        "purge_at": version.purge_at,
    }


def _kind(request: web.Request) -> str | None:
    text = request.query.get("kind") or None
    if text not in {None, *Kind}:
        raise QueryRefusedError("'kind' is `model` or `bento`")
    return text


def _moment(request: web.Request) -> datetime | None:
    text = request.query.get("before")
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        found = None
    if text and (found is None or found.tzinfo is None):
        raise QueryRefusedError("'before' must be the `deleted_at` of a list's item")
    return found
