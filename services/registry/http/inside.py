"""The native API of one version: what it says of itself, its files, and what another changed."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from libs.chassis.errors import ServiceError
from libs.chassis.http import Route, principal, stream_response
from libs.chassis.problems import json_response
from services.registry.difference import api_changes, keyed_changes, packages_of, routes_of
from services.registry.domain import Kind, Repository, Version, models_of, normalised
from services.registry.errors import QueryRefusedError
from services.registry.http.ranges import begun, span_of
from services.registry.service import UseCases

_COUNT: Final = 1000
_MOST: Final = 10_000


class InsideApi:
    def __init__(self, cases: UseCases, *, kind: Kind) -> None:
        self._registry = cases.registry
        self._inside = cases.inside
        self._integrity = cases.integrity
        self._aliases = cases.aliases
        self._kind = kind

    def routes(self) -> list[Route]:
        one = f"/api/registry/{self._kind}s/{{repository}}/versions/{{version}}"
        read = f"{self._kind}.read"
        return [
            Route("GET", one, self.version, action=read),
            Route("GET", f"{one}/files", self.files, action=read),
            Route("GET", f"{one}/files/{{path:.+}}", self.file, action=read),
            Route("HEAD", f"{one}/files/{{path:.+}}", self.file, action=read),
            Route("GET", f"{one}/diff", self.diff, action=read),
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
        if self._kind is Kind.BENTO:
            shown |= {
                "models": models_of(manifest),
                "routes": routes_of(manifest),
                "services": _services(manifest),
                "environment": await self._environment(version),
            }
        return json_response(shown)

    async def files(self, request: web.Request) -> web.Response:
        """``prefix`` is a folder; ``after`` the path of the last one seen."""
        _, version = await self._found(request, request.match_info["version"])
        blob = await self._registry.blob_of(version)
        page = await self._inside.files(
            blob,
            prefix=request.query.get("prefix", ""),
            after=request.query.get("after", ""),
            count=_number(request),
        )
        items = [
            {
                "path": each.path,
                "kind": each.kind,
                "size_bytes": each.size_bytes,
                "mode": f"{each.mode:04o}",
                "target": each.target,
            }
            for each in page.items
        ]
        following = page.items[-1].path if page.more else None
        return json_response({"items": items, "next": following})

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
        wanted = request.query.get("to", "")
        if not wanted:
            raise QueryRefusedError("'to' names the version to compare with")
        _, one = await self._found(request, request.match_info["version"])
        _, other = await self._found(request, wanted)
        blobs = await self._registry.blob_of(one), await self._registry.blob_of(other)
        before, after = one.described, other.described
        locks = [
            await self._packages(blob, each)
            for blob, each in zip(blobs, (before, after), strict=True)
        ]
        return json_response(
            {
                "from": one.version,
                "to": other.version,
                "files": asdict(await self._inside.compare(*blobs)),
                "packages": keyed_changes(*locks),
                "api": [asdict(each) for each in api_changes(before, after)],
                "metadata": keyed_changes(_of(before, "metadata"), _of(after, "metadata")),
                "labels": keyed_changes(dict(one.labels), dict(other.labels)),
            }
        )

    async def _packages(self, blob: Any, manifest: dict[str, Any]) -> dict[str, str]:
        said = _of(manifest, "image").get("python_requirements")
        if not isinstance(said, str):
            said = await self._inside.requirements(blob)
        return packages_of(said)

    async def _environment(self, version: Version) -> dict[str, Any]:
        """Clients before 1.3.21 say it in their archives only; without one it is unknown."""
        shown = _environment(version.described)
        if "image" in version.described:
            return shown
        with suppress(ServiceError):
            blob = await self._registry.blob_of(version)
            shown["packages"] = packages_of(await self._inside.requirements(blob))
            shown["python_version"] = await self._inside.python_version(blob)
        return shown

    async def _found(self, request: web.Request, version: str) -> tuple[Repository, Version]:
        name = request.match_info["repository"]
        repository = await self._registry.repository(principal(request).org_id, self._kind, name)
        return repository, await self._registry.find(repository, version)


def _services(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Each with the names of those that it calls; the routes are those of the entry."""
    found = normalised(manifest).get("services")
    return [
        {
            "name": each.get("name"),
            "is_entry": each.get("name") == manifest.get("entry_service"),
            "models": models_of({"services": [each]}),
            "dependencies": [
                one["service"] for one in _dicts(each.get("dependencies")) if "service" in one
            ],
        }
        for each in _dicts(found)
    ]


def _environment(manifest: dict[str, Any]) -> dict[str, Any]:
    """Names of variables, and no values: those may be secrets."""
    image = _of(manifest, "image")
    return {
        "python_version": image.get("python_version"),
        "base_image": image.get("base_image"),
        "packages": packages_of(str(image.get("python_requirements") or "")),
        "commands": image.get("commands") or [],
        "envs": [each.get("name") for each in _dicts(manifest.get("envs"))],
    }


def _dicts(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]


def _of(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}


def _number(request: web.Request) -> int:
    text = request.query.get("count") or str(_COUNT)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST):
        raise QueryRefusedError(f"'count' must be a number from 1 to {_MOST}")
    return int(text)
