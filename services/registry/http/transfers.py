"""Uploads and downloads by signed URL, as BentoML's clients ask for them."""

import asyncio
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.chassis.signedurls import UrlSigner
from libs.contracts.types import cut
from services.registry.domain import Kind, Repository, Strategy, Upload, Version, takes_urls_only
from services.registry.errors import (
    ArchiveRefusedError,
    NotUploadedError,
    TransferUnknownError,
)
from services.registry.http.strategy import CLIENT, told, way_of
from services.registry.service import LIFETIME, UseCases
from services.registry.views import version_view

PATIENCE: Final = timedelta(seconds=45)
"""How long the answer to a finished upload waits for its verification: clients give up at 60."""
_LOOK: Final = 0.05


class FinishUpload(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: Literal["success", "failed", "pending", "uploading"]
    reason: str | None = None


class PresignPart(BaseModel):
    model_config = ConfigDict(extra="ignore")

    upload_id: UUID
    part_number: int = Field(ge=1, le=10_000)


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    part_number: int = Field(ge=1, le=10_000)
    etag: str = Field(max_length=200, pattern=r"^[^\x00]*$")


class CompleteParts(BaseModel):
    model_config = ConfigDict(extra="ignore")

    upload_id: UUID
    parts: list[Part] = Field(max_length=10_000)


class Urls:
    """Of ourselves, for whoever sends to us by a signed URL; without ``public_url`` none."""

    def __init__(self, signer: UrlSigner | None, public_url: str | None) -> None:
        self._signer = signer
        self._public_url = public_url

    def sign(self, request: web.Request, path: str, method: str = "PUT") -> str:
        if self._signer is None or self._public_url is None:
            return ""
        signed = self._signer.sign(method, path, principal=principal(request), lifetime=LIFETIME)
        return f"{self._public_url.rstrip('/')}{signed}"


class TransferApi:
    def __init__(self, cases: UseCases, urls: Urls, *, kind: Kind) -> None:
        self._registry = cases.registry
        self._uploads = cases.uploads
        self._transfers = cases.transfers
        self._urls = urls
        self._kind = kind

    def routes(self) -> list[Route]:
        kind = self._kind
        version = f"/api/v1/{kind}_repositories/{{repository}}/{kind}s/{{version}}"
        read, push = f"{kind}.read", f"{kind}.push"
        steps = {
            "presign_upload_url": self.presign,
            "start_multipart_upload": self.start_parts,
            "presign_multipart_upload_url": self.presign_part,
            "complete_multipart_upload": self.complete_parts,
            "finish_upload": self.finish,
        }
        return [
            Route("PATCH", f"{version}/presign_download_url", self.download, action=read),
            *(
                Route("PATCH", f"{version}/{name}", step, action=push)
                for name, step in steps.items()
            ),
        ]

    async def presign(self, request: web.Request) -> web.Response:
        """An empty URL says: send it to ``upload``."""
        _, version = await self._found(request)
        way = await way_of(request, self._transfers, version)
        if way is Strategy.PROXY and not takes_urls_only(request.headers.get(CLIENT)):
            return await self._view(request, version)
        begun = await self._transfers.begin(version)
        url = begun.url or self._urls.sign(request, f"/api/registry/transfers/{begun.transfer.id}")
        return await self._view(request, version, presigned_upload_url=url)

    async def start_parts(self, request: web.Request) -> web.Response:
        _, version = await self._found(request)
        begun = await self._transfers.begin_parts(version)
        return await self._view(request, version, upload_id=str(begun.id))

    async def presign_part(self, request: web.Request) -> web.Response:
        body = await read_body(request, PresignPart)
        _, version = await self._found(request)
        transfer = await self._transfers.one(version.org_id, body.upload_id)
        if transfer.version_id != version.id:
            raise TransferUnknownError("the upload is another version's")
        url = await self._transfers.part_url(transfer, body.part_number) or self._urls.sign(
            request, f"/api/registry/transfers/{transfer.id}/{body.part_number}"
        )
        return await self._view(
            request, version, presigned_upload_url=url, upload_id=str(transfer.id)
        )

    async def complete_parts(self, request: web.Request) -> web.Response:
        """Only noted: clients say this also after a part has failed."""
        body = await read_body(request, CompleteParts, limit=4 * 2**20)
        _, version = await self._found(request)
        transfer = await self._transfers.one(version.org_id, body.upload_id)
        if transfer.version_id != version.id:
            raise TransferUnknownError("the upload is another version's")
        parts = sorted({each.part_number: each.etag for each in body.parts}.items())
        await self._transfers.name_parts(transfer, parts)
        return await self._view(request, version, upload_id=str(transfer.id))

    async def finish(self, request: web.Request) -> web.Response:
        """Waits for the verification, but never so long that the client gives up."""
        body = await read_body(request, FinishUpload)
        _, version = await self._found(request)
        if body.status == "failed":
            await self._transfers.give_up(version)
            version = await self._uploads.give_up(version, cut(body.reason or "the client gave up"))
            return await self._view(request, version)
        if version.upload_status != Upload.SUCCESS and not await self._transfers.finish(version):
            raise NotUploadedError("finish_upload without bytes: send them first")
        return await self._view(request, await self._verified(request))

    async def download(self, request: web.Request) -> web.Response:
        """An empty URL says: take it from ``download``."""
        _, version = await self._found(request)
        way = await way_of(request, self._transfers, version)
        by_url = way is Strategy.MULTIPART or takes_urls_only(request.headers.get(CLIENT))
        setting = await self._transfers.strategy(version.org_id)
        if (setting is Strategy.PROXY and not by_url) or version.upload_status != Upload.SUCCESS:
            return await self._view(request, version)
        if version.lives_elsewhere and version.digest is None:
            return await self._view(request, version)
        blob = await self._registry.blob_of(version)
        url = await self._transfers.download_url(blob.location)
        if not url and by_url:
            # Such a client takes it from a URL or not at all.
            path = request.rel_url.raw_path.rpartition("/")[0]
            url = self._urls.sign(request, f"{path}/download", "GET")
        return await self._view(request, version, presigned_download_url=url)

    async def _verified(self, request: web.Request) -> Version:
        deadline = asyncio.get_running_loop().time() + PATIENCE.total_seconds()
        while True:
            _, version = await self._found(request)
            if version.upload_status == Upload.FAILED:
                raise ArchiveRefusedError(version.upload_reason)
            waited = asyncio.get_running_loop().time() >= deadline
            if version.upload_status != Upload.VERIFYING or waited:
                return version
            await asyncio.sleep(_LOOK)

    async def _found(self, request: web.Request) -> tuple[Repository, Version]:
        name = request.match_info["repository"]
        repository = await self._registry.repository(principal(request).org_id, self._kind, name)
        return repository, await self._registry.find(repository, request.match_info["version"])

    async def _view(self, request: web.Request, version: Version, **urls: Any) -> web.Response:
        shown = version_view(version, self._kind)
        strategy = await told(request, self._transfers, version)
        return json_response(shown | strategy | urls)
