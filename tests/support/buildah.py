"""A real buildah, and the images that come out of it."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.builder.containers import Buildah, Limits, NamespaceUnavailableError, Recipe

AMPLE = Limits(seconds=60)


@dataclass
class Image:
    """What is in a layout."""

    layout: Path

    @property
    def digest(self) -> str:
        return str(self._index["manifests"][0]["digest"])

    @property
    def manifest(self) -> dict[str, Any]:
        return self._read(self._index["manifests"][0])

    @property
    def config(self) -> dict[str, Any]:
        return self._read(self.manifest["config"])

    def everything(self) -> Iterator[bytes]:
        """All that is said and stored in it, layers unpacked: names and contents."""
        yield json.dumps([self._index, self.manifest, self.config]).encode()
        for layer in self.manifest["layers"]:
            with tarfile.open(self._path(layer)) as tar:
                for member in tar:
                    yield member.name.encode()
                    if content := tar.extractfile(member) if member.isreg() else None:
                        yield content.read()

    def unpack(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for layer in self.manifest["layers"]:
            subprocess.run(["tar", "-xf", self._path(layer), "-C", folder], check=True)

    @property
    def _index(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.layout / "index.json").read_text())
        return found

    def _read(self, descriptor: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._path(descriptor).read_text())
        return found

    def _path(self, descriptor: dict[str, Any]) -> Path:
        return self.layout / "blobs" / str(descriptor["digest"]).replace(":", "/")


@dataclass
class Bench:
    """Builds what a test writes down, and remembers what was said."""

    buildah: Buildah
    folder: Path
    base: Path
    lines: list[str] = field(default_factory=list)
    made: int = 0

    def recipe(
        self, commands: str, *, files: Mapping[str, str] | None = None, **more: Any
    ) -> Recipe:
        self.made += 1
        context = self.folder / f"context-{self.made}"
        context.mkdir()
        dockerfile = context / "Dockerfile"
        dockerfile.write_text(f"FROM python:3.11-slim AS base-container\n{commands}\n")
        for name, text in (files or {}).items():
            (context / name).write_text(text)
        return Recipe(context, dockerfile, **{"base": self.base, **more})

    async def build(self, recipe: Recipe, *, limits: Limits = AMPLE) -> Image:
        into = self.folder / f"image-of-{recipe.context.name}-{len(list(self.folder.iterdir()))}"
        await self.buildah.build(recipe, into=into, log=self.lines.append, limits=limits)
        return Image(into)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@asynccontextmanager
async def started(root: Path, **options: Any) -> AsyncIterator[Buildah]:
    """A builder, or the reason why there is none here."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    buildah = Buildah(root, **options)
    try:
        await buildah.start()
    except NamespaceUnavailableError as error:
        pytest.skip(f"buildah cannot be run as nobody: {error}")
    try:
        yield buildah
    finally:
        await buildah.close()
