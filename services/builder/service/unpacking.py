"""Container images as folders, for processes of this machine that are to run as in a container."""

import asyncio
from typing import Any, Final
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.builder.domain import Image, Made
from services.builder.environments import Folders, remove
from services.builder.errors import BuildFailedError
from services.builder.layers import unpack_layers
from services.builder.oci import Remote
from services.builder.service.builds import Builds
from services.builder.service.job import Job
from services.builder.upstream import save

_CONFIG_BYTES: Final = 4 * 2**20


class _Blob(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    media_type: str = Field(alias="mediaType")
    digest: str
    size: int


class _Manifest(BaseModel):
    config: _Blob
    layers: list[_Blob]


class _Rootfs(BaseModel):
    diff_ids: list[str]


class _Config(BaseModel):
    rootfs: _Rootfs


class Unpacking:
    """What is there already is taken: a folder is named by the digest of what it was made of."""

    def __init__(self, builds: Builds, folders: Folders) -> None:
        self._builds = builds
        self._folders = folders
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def unpack(self, job: Job, remote: Remote, made: Made, *, reused: bool) -> Image:
        async with self._turns.setdefault(made.digest, asyncio.Lock()):
            await self._builds.claim(job.order, image=made.digest)
            there = self._folders.has_unpacked(made.digest)
            if not there:
                with job.progress.step("unpack the image"):
                    await self._make(job, remote, made)
        folder = self._folders.unpacked(made.digest).resolve().as_uri()
        return Image(made.digest, made.uri, reused and there, folder)

    async def _make(self, job: Job, remote: Remote, made: Made) -> None:
        _, body = await remote.manifest(made.repository, made.digest)
        manifest = _read(_Manifest, body)
        if manifest.config.size > _CONFIG_BYTES:
            raise BuildFailedError("image-invalid", "its configuration is larger than 4 MiB")
        work = job.work / "unpacked"
        await asyncio.to_thread(remove, work)
        work.mkdir()
        at = manifest.config
        config = work / "config.json"
        await save(remote.blob(made.repository, at.digest, size=at.size), config)
        named = _read(_Config, config.read_bytes()).rootfs.diff_ids
        if len(named) != len(manifest.layers):
            raise BuildFailedError("image-invalid", "its configuration has other layers")
        layers = []
        for number, (each, diff_id) in enumerate(zip(manifest.layers, named, strict=True)):
            file = job.work / f"layer-{number}"
            await save(remote.blob(made.repository, each.digest, size=each.size), file)
            layers.append((file, each.media_type, diff_id))
        await asyncio.to_thread(unpack_layers, layers, work / "rootfs")
        await asyncio.to_thread(self._folders.keep_unpacked, made.digest, work)


def _read(kind: Any, body: bytes) -> Any:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise BuildFailedError("image-invalid", f"it cannot be read: {error}") from error
