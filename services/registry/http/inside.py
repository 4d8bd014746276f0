"""The native API of one version: what it says of itself, its files, and what another changed."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic import Field

from libs.chassis.errors import ServiceError
from libs.chassis.http import Route, principal, stream_response
from libs.chassis.openapi import Operation, Query
from libs.chassis.pagination import Page, PageQuery, keys_in, page_of
from libs.chassis.problems import json_response, read_query
from services.registry.difference import api_changes, keyed_changes, packages_of, routes_of
from services.registry.domain import Kind, Repository, Version, models_of
from services.registry.http.ranges import begun, span_of
from services.registry.service import UseCases
from services.registry.shown import (
    BentoShown,
    Difference,
    Environment,
    FileShown,
    ModelShown,
    environment_shown,
    file_shown,
    mapping_in,
    services_shown,
)


class FilesQuery(PageQuery):
    count: int = Field(1000, ge=1, le=10_000, description="Items of a page, at most.")
    prefix: str = Field("", max_length=4096, description="A folder.")


class DiffQuery(Query):
    to: str = Field(min_length=1, description="The version to compare with.")


class InsideApi:
    def __init__(self, cases: UseCases, *, kind: Kind) -> None:
        self._registry = cases.registry
        self._inside = cases.inside
        self._integrity = cases.integrity
        self._aliases = cases.aliases
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        one = f"/api/registry/{kind}s/{{repository}}/versions/{{version}}"
        file = f"{one}/files/{{path:.+}}"
        shown = BentoShown if kind is Kind.BENTO else ModelShown
        rows = (
            ("GET", one, self.version, Operation("{}", "A version", answer=shown)),
            ("GET", f"{one}/files", self.files, _FILES),
            ("GET", file, self.file, _FILE),
            ("HEAD", file, self.file, None),
            ("GET", f"{one}/diff", self.diff, _DIFF),
        )
        return [
            Route(method, path, handler, f"{kind}.read", operation=said and said.of(kind))
            for method, path, handler, said in rows
        ]

    async def version(self, request: web.Request) -> web.Response:
        repository, version = await self._found(request, request.match_info["version"])
        aliases = await self._aliases.all(repository)
        manifest = version.described
        shown: dict[str, Any] = {
            "name": repository.name,
            "version": version.version,
            "description": version.description,
            "labels": dict(version.labels),
            "aliases": [each.name for each in aliases if each.version == version.version],
            "digest": version.digest,
            "size_bytes": await self._registry.size_of(version),
            "upload_status": version.upload_status,
            "upload_reason": version.upload_reason,
            "created_at": version.created_at,
            "build_at": version.build_at,
            "manifest": manifest,
        }
        if self._kind is Kind.MODEL:
            return json_response(ModelShown(**shown))
        bento = BentoShown(
            **shown,
            models=models_of(manifest),
            routes=routes_of(manifest),
            services=services_shown(manifest),
            environment=await self._environment(version),
        )
        return json_response(bento)

    async def files(self, request: web.Request) -> web.Response:
        asked = read_query(request, FilesQuery)
        (after,) = keys_in(asked.cursor, (str,)) if asked.cursor else ("",)
        _, version = await self._found(request, request.match_info["version"])
        blob = await self._registry.blob_of(version)
        found = await self._inside.files(
            blob, prefix=asked.prefix, after=after, count=asked.count + 1
        )
        keyed = [(file_shown(each), [each.path]) for each in found]
        return json_response(page_of(keyed, asked.count))

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Never as what it claims to be: what is uploaded must not run in anybody's browser."""
        _, version = await self._found(request, request.match_info["version"])
        blob = await self._registry.blob_of(version)
        entry = await self._inside.file(blob, request.match_info["path"])
        etag = f'"{blob.digest}-{entry.offset}"'
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
            "ETag": etag,
            "Accept-Ranges": "bytes",
        }
        if not entry.size_bytes:
            return web.Response(headers=headers)
        span = span_of(request, size=entry.size_bytes, etag=etag)
        if span is None:
            beyond = {"Content-Range": f"bytes */{entry.size_bytes}"}
            return web.Response(status=416, headers=headers | beyond)
        headers["Content-Length"] = str(span.length)
        if not span.is_whole:
            headers["Content-Range"] = span.header
        chunks = self._integrity.read(blob, first=entry.offset + span.first, length=span.length)
        return await stream_response(
            request,
            await begun(chunks),
            headers=headers,
            status=200 if span.is_whole else 206,
        )

    async def diff(self, request: web.Request) -> web.Response:
        """From this version to ``to``."""
        wanted = read_query(request, DiffQuery).to
        _, one = await self._found(request, request.match_info["version"])
        _, other = await self._found(request, wanted)
        blobs = await self._registry.blob_of(one), await self._registry.blob_of(other)
        before, after = one.described, other.described
        locks = [
            await self._packages(blob, each)
            for blob, each in zip(blobs, (before, after), strict=True)
        ]
        told = Difference(
            before=one.version,
            after=other.version,
            files=await self._inside.compare(*blobs),
            packages=keyed_changes(*locks),
            api=api_changes(before, after),
            metadata=keyed_changes(mapping_in(before, "metadata"), mapping_in(after, "metadata")),
            labels=keyed_changes(dict(one.labels), dict(other.labels)),
        )
        return json_response(told)

    async def _packages(self, blob: Any, manifest: dict[str, Any]) -> dict[str, str]:
        said = mapping_in(manifest, "image").get("python_requirements")
        if not isinstance(said, str):
            said = await self._inside.requirements(blob)
        return packages_of(said)

    async def _environment(self, version: Version) -> Environment:
        """Clients before 1.3.21 say it in their archives only; without one it is unknown."""
        shown = environment_shown(version.described)
        if "image" in version.described:
            return shown
        with suppress(ServiceError):
            blob = await self._registry.blob_of(version)
            return replace(
                shown,
                packages=packages_of(await self._inside.requirements(blob)),
                python_version=await self._inside.python_version(blob),
            )
        return shown

    async def _found(self, request: web.Request, version: str) -> tuple[Repository, Version]:
        name = request.match_info["repository"]
        repository = await self._registry.repository(principal(request).org_id, self._kind, name)
        return repository, await self._registry.find(repository, version)


_FILES = Operation("{}_files", "Files of a version", query=FilesQuery, answer=Page[FileShown])
_FILE = Operation("{}_file", "One file of a version", answer=bytes, partial=True)
_DIFF = Operation(
    "{}_difference", "What another version has otherwise", query=DiffQuery, answer=Difference
)
