"""The native API's deletions: the trash, rules of repositories, and what is collected."""

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from pydantic import Field

from libs.chassis.http import Route, principal
from libs.chassis.openapi import Body, Operation
from libs.chassis.problems import json_response, read_body
from libs.contracts.types import Slug
from services.registry.domain import Kind, Repository, Retention
from services.registry.errors import RetentionInvalidError
from services.registry.plan import Verdict
from services.registry.service import UseCases


class PutRetention(Body):
    """A version stays that any of these keeps. What is held or aliased stays anyway."""

    keep_last: int | None = Field(default=None, ge=1, le=100_000)
    keep_days: int | None = Field(default=None, ge=0, le=36_500)
    keep_labels: dict[Slug, str] = Field(default_factory=dict, max_length=20)

    def rule(self) -> Retention:
        if self.keep_last is None and self.keep_days is None:
            raise RetentionInvalidError("give `keep_last`, `keep_days` or both")
        return Retention(self.keep_last, self.keep_days, dict(self.keep_labels))


@dataclass(frozen=True, slots=True)
class Deleted:
    """``purge_at``: until then it can be brought back."""

    version: str
    purge_at: datetime


@dataclass(frozen=True, slots=True)
class RepositoryDeleted:
    purge_at: datetime


@dataclass(frozen=True, slots=True)
class Undeleted:
    version: str


@dataclass(frozen=True, slots=True)
class Verified:
    digest: str
    size_bytes: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class RetentionShown:
    """Without a rule everything is null: everything stays."""

    keep_last: int | None = None
    keep_days: int | None = None
    keep_labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    version: str
    goes: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Newest first."""

    items: list[Judged]


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
        rows = (
            ("DELETE", one, self.delete_repository, "delete", _DELETE_ALL),
            ("DELETE", version, self.delete, "delete", _DELETE),
            ("POST", f"{version}/undelete", self.undelete, "delete", _UNDELETE),
            ("POST", f"{version}/verify", self.verify, "read", _VERIFY),
            ("GET", rule, self.rule, "read", _RULE),
            ("PUT", rule, self.put_rule, "delete", _PUT_RULE),
            ("DELETE", rule, self.remove_rule, "delete", _REMOVE_RULE),
            ("POST", f"{rule}/plan", self.plan_rule, "read", _PLAN_RULE),
        )
        return [
            Route(method, path, handler, action=f"{kind}.{verb}", operation=said.of(kind))
            for method, path, handler, verb, said in rows
        ]

    async def delete(self, request: web.Request) -> web.Response:
        repository = await self._repository(request)
        version = await self._registry.find(repository, request.match_info["version"])
        until = await self._deletion.delete(repository, version, actor=principal(request).actor)
        return json_response(Deleted(version.version, until))

    async def delete_repository(self, request: web.Request) -> web.Response:
        until = await self._deletion.delete_repository(
            await self._repository(request), actor=principal(request).actor
        )
        return json_response(RepositoryDeleted(until))

    async def undelete(self, request: web.Request) -> web.Response:
        org_id, asked = principal(request).org_id, request.match_info
        await self._deletion.undelete(
            org_id, self._kind, repository=asked["repository"], version=asked["version"]
        )
        return json_response(Undeleted(asked["version"]))

    async def verify(self, request: web.Request) -> web.Response:
        """Reads all of it, past any cache: seconds per gigabyte."""
        repository = await self._repository(request)
        version = await self._registry.find(repository, request.match_info["version"])
        blob = await self._registry.blob_of(version)
        is_right = await self._integrity.check(blob)
        return json_response(Verified(blob.digest, blob.size_bytes, is_right))

    async def rule(self, request: web.Request) -> web.Response:
        found = await self._retentions.rule(await self._repository(request))
        if found is None:
            return json_response(RetentionShown())
        return json_response(RetentionShown(found.keep_last, found.keep_days, found.keep_labels))

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


def _verdicts(verdicts: list[Verdict]) -> web.Response:
    items = [Judged(each.version.version, each.goes, each.reason) for each in verdicts]
    return json_response(Verdicts(items))


_DELETE_ALL = Operation(
    "delete_{}_repository",
    "Put a repository with all of its versions into the trash",
    answer=RepositoryDeleted,
    once=True,
)
_DELETE = Operation(
    "delete_{}", "Put a version into the trash, unless something needs it", Deleted, once=True
)
_UNDELETE = Operation(
    "undelete_{}", "Bring a version back from the trash", answer=Undeleted, once=True
)
_VERIFY = Operation(
    "verify_{}", "Read all bytes of a version and compare them with its digest", Verified
)
_RULE = Operation("{}_retention", "Which versions a repository keeps", answer=RetentionShown)
_PUT_RULE = Operation(
    "put_{}_retention",
    "Say which versions a repository keeps; answers what will go",
    body=PutRetention,
    answer=Verdicts,
    once=True,
)
_REMOVE_RULE = Operation("remove_{}_retention", "Keep every version again", status=204, once=True)
_PLAN_RULE = Operation(
    "plan_{}_retention", "What a rule would do; nothing changes", body=PutRetention, answer=Verdicts
)
