"""Images that others are built on: pinned once, kept in the registry, read for what they offer."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Database
from services.builder import plan
from services.builder.domain import BaseImage, Layer
from services.builder.errors import BuildFailedError
from services.builder.layers import Looked, look
from services.builder.oci import Reference, ReferenceInvalidError, Remote, parse_reference
from services.builder.service.pushing import Pushing
from services.builder.service.tx import Tx
from services.builder.upstream import save

_ROOT: Final = "base"
_CONFIG_BYTES: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class _Base:
    reference: str
    digest: str
    platform: str
    layers: tuple[Layer, ...]


class Bases:
    """``home`` is the platform's own registry, for one organisation."""

    def __init__(
        self, database: Database[Tx], home: Callable[[OrgRef], Remote], *, work: Path
    ) -> None:
        self._database = database
        self._home = home
        self._work = work

    async def require(self, org_id: UUID, reference: str, platform: str) -> BaseImage:
        """The pinned one. Raises ``BuildFailedError`` that says how it is had."""
        name = str(_parsed(reference))
        async with self._database.read() as tx:
            base = await tx.recipes.base(org_id, name, platform)
        if base is None:
            raise BuildFailedError(
                "base-image-absent",
                f"{name} for {platform} is not here: import it with "
                f"`yokocho base-images import {reference} FILE`",
            )
        return base

    async def place(self, base: BaseImage, pushing: Pushing) -> Sequence[Layer]:
        """The base image's layers, in the repository of an image that is made on it."""
        source = repository_of(_parsed(base.reference))
        there = await asyncio.gather(*(pushing.has(each, source) for each in base.layers))
        for layer, is_there in zip(base.layers, there, strict=True):
            if not is_there:
                raise BuildFailedError(
                    "base-image-absent",
                    f"{base.reference} has lost its layer {layer.digest}: import it again",
                )
        return base.layers

    async def adopt(
        self, org: OrgRef, reference: str, *, platform: str, digest: str, source: str
    ) -> BaseImage:
        """Pin an image that is in the registry already, after a look at what is in it."""
        name = _parsed(reference)
        repository, home = repository_of(name), self._home(org)
        _, body = await home.manifest(repository, digest)
        said = json.loads(body)
        config = await self._config(home, repository, said["config"])
        layers = tuple(
            Layer(each["digest"], diff_id, each["size"], each["mediaType"])
            for each, diff_id in zip(said["layers"], config["rootfs"]["diff_ids"], strict=True)
        )
        seen = await self._look(home, repository, layers)
        base = _described(_Base(str(name), digest, platform, layers), config, seen)
        async with self._database.transaction() as tx:
            await tx.recipes.pin(org.org_id, base, source=source)
        return base

    async def _config(
        self, home: Remote, repository: str, described: dict[str, Any]
    ) -> dict[str, Any]:
        if described["size"] > _CONFIG_BYTES:
            raise BuildFailedError("image-invalid", "its config is larger than 4 MiB")
        pieces = home.blob(repository, described["digest"], size=described["size"])
        config: dict[str, Any] = json.loads(b"".join([each async for each in pieces]))
        return config

    async def _look(self, home: Remote, repository: str, layers: Sequence[Layer]) -> Looked:
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            files = []
            for number, layer in enumerate(layers):
                file = Path(folder, str(number))
                pieces = home.blob(repository, layer.digest, size=layer.size_bytes)
                await save(pieces, file)
                files.append((file, layer.media_type))
            return await asyncio.to_thread(look, files)


def repository_of(reference: Reference) -> str:
    """Where a base image is kept in the platform's own registry."""
    host = reference.registry.replace(":", "-").lower()
    return f"{_ROOT}/{host}/{reference.repository}"


def _parsed(reference: str) -> Reference:
    try:
        return parse_reference(reference)
    except ReferenceInvalidError as error:
        raise BuildFailedError("base-image-invalid", str(error)) from error


def _described(base: _Base, config: dict[str, Any], seen: Looked) -> BaseImage:
    said = config.get("config") or {}
    env = tuple(str(each) for each in said.get("Env") or ())
    given = dict(each.split("=", 1) for each in env if "=" in each)
    labels = sorted((str(key), str(value)) for key, value in (said.get("Labels") or {}).items())
    return BaseImage(
        reference=base.reference,
        digest=base.digest,
        platform=base.platform,
        layers=base.layers,
        env=env,
        labels=tuple(labels),
        pythons=plan.pythons_of(seen.names, seen.texts, given),
        libc=plan.libc_of(seen.names, seen.texts),
        has_bash=plan.has_bash(seen.names),
        passwd=seen.texts.get("etc/passwd", ""),
        group=seen.texts.get("etc/group", ""),
    )
