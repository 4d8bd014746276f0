"""An archive on its way in: reserved, walked, hashed, and then a version's bytes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from aiohttp import web

from libs.chassis.blobs import Blob, BlobStore, NoSpaceError
from libs.chassis.errors import ServiceError
from libs.chassis.http import accept_body
from libs.contracts.types import cut
from services.registry.archive import ArchiveWalk
from services.registry.domain import Repository, Version
from services.registry.errors import ArchiveRefusedError
from services.registry.service import INTERRUPTED, Flow, Uploads, described, lock_in, walk_of


class Receiver:
    """Whatever goes wrong, the version says why, and nothing stays."""

    def __init__(self, uploads: Uploads, blobs: BlobStore) -> None:
        self._uploads = uploads
        self._blobs = blobs

    async def receive(
        self, request: web.Request, repository: Repository, version: Version
    ) -> Version:
        """The body as the version's bytes."""
        upload = await self._begin(version, request.content_length or 0)
        try:
            walk = walk_of(repository.kind)
            tag = f"{repository.name}:{upload.version}"
            blob = await self._received(request, upload, walk, tag=tag)
            return await self._uploads.finish(repository, upload, blob, lock=lock_in(walk))
        except ServiceError as error:
            await self._uploads.fail(upload, cut(error.detail))
            raise
        except (OSError, web.HTTPException, web.RequestPayloadError):
            await self._uploads.fail(upload, INTERRUPTED)
            raise

    async def _begin(self, version: Version, size: int) -> Version:
        try:
            self._blobs.require(size)
        except NoSpaceError as error:
            await self._uploads.give_up(version, error.detail)
            raise
        return await self._uploads.begin(version, size)

    async def _received(
        self, request: web.Request, upload: Version, walk: ArchiveWalk, *, tag: str
    ) -> Blob:
        flow = Flow(self._uploads, upload)
        await accept_body(request)
        async with self._blobs.receive(walk, size=request.content_length) as receiving:
            received = 0
            async for chunk in arriving(request, self._uploads.silence):
                received += len(chunk)
                await flow.received(received)
                await receiving.write(chunk)
            if request.content_length not in {None, received}:
                raise ArchiveRefusedError("the archive is truncated: the connection broke")
            await flow.received(received, whole=True)
            blob = await receiving.commit()
        try:
            await asyncio.to_thread(described, walk.finish(), tag)
        except ServiceError:
            await self._blobs.remove(blob.location)
            raise
        return blob


async def arriving(request: web.Request, silence: timedelta) -> AsyncIterator[bytes]:
    """The body as it comes; a client that sends nothing for ``silence`` is gone."""
    while True:
        try:
            async with asyncio.timeout(silence.total_seconds()):
                chunk = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"nothing came for {silence}") from None
        if not chunk:
            return
        yield chunk
