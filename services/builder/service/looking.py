"""A base image that is in the registry, read for what it offers."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.builder import plan
from services.builder.domain import BaseImage, Contents, Layer
from services.builder.errors import BuildFailedError
from services.builder.layers import Looked, look
from services.builder.oci import Descriptor
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


class _Run(BaseModel):
    env: list[str] | None = Field(default=None, alias="Env")
    labels: dict[str, str] | None = Field(default=None, alias="Labels")


class _Rootfs(BaseModel):
    diff_ids: list[str]


class _Config(BaseModel):
    config: _Run | None = None
    rootfs: _Rootfs


class Source(Protocol):
    """Where an image is: a registry, or what stands for one."""

    async def manifest(self, repository: str, reference: str, /) -> tuple[Descriptor, bytes]: ...

    def blob(self, repository: str, digest: str, /, *, size: int) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """``contents`` are of its layers, by digest."""

    base: BaseImage
    contents: Sequence[tuple[str, Contents]]


async def described(
    source: Source, repository: str, digest: str
) -> tuple[list[Layer], _Config, bytes]:
    """The layers of an image of one platform, and its configuration, also as it is written."""
    _, body = await source.manifest(repository, digest)
    manifest = _read(_Manifest, body)
    at = manifest.config
    if at.size > _CONFIG_BYTES:
        raise BuildFailedError("image-invalid", "its configuration is larger than 4 MiB")
    written = b"".join([each async for each in source.blob(repository, at.digest, size=at.size)])
    config = _read(_Config, written)
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise BuildFailedError("image-invalid", "its configuration has other layers")
    layers = [
        Layer(each.digest, diff_id, each.size, each.media_type)
        for each, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
    ]
    return layers, config, written


class Looking:
    def __init__(self, work: Path) -> None:
        self.work = work

    async def look(
        self, home: Source, repository: str, reference: str, *, digest: str, platform: str
    ) -> Found:
        layers, config, _ = await described(home, repository, digest)
        run = config.config or _Run()
        seen = await self._seen(home, repository, layers)
        env = dict(each.split("=", 1) for each in run.env or () if "=" in each)
        base = BaseImage(
            reference=reference,
            digest=digest,
            platform=platform,
            layers=tuple(layers),
            env=tuple(run.env or ()),
            labels=tuple(sorted((run.labels or {}).items())),
            pythons=plan.pythons_of(seen.names, seen.texts, env),
            libc=plan.libc_of(seen.names, seen.texts),
            has_bash=plan.has_bash(seen.names),
            passwd=seen.texts.get("etc/passwd", ""),
            group=seen.texts.get("etc/group", ""),
        )
        contents = zip(layers, seen.contents, strict=True)
        return Found(base, tuple((layer.digest, each) for layer, each in contents))

    async def _seen(self, home: Source, repository: str, layers: Sequence[Layer]) -> Looked:
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            files = []
            for number, layer in enumerate(layers):
                file = Path(folder, str(number))
                await save(home.blob(repository, layer.digest, size=layer.size_bytes), file)
                files.append((file, layer.media_type))
            return await asyncio.to_thread(look, files)


def _read(kind: Any, body: bytes) -> Any:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise BuildFailedError("image-invalid", f"it cannot be read: {error}") from error
