"""Images from a file or folder: an OCI image layout, or what ``docker save`` writes, old and new.

Documents are verified when it is opened, layers while they are read.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from libs.contracts.mediatypes import CONFIGS, INDEXES, LAYERS, MANIFESTS
from libs.contracts.types import digest_of
from services.builder.oci.client import Remote
from services.builder.oci.descriptor import Descriptor, DescriptorInvalidError, Platform
from services.builder.oci.dockerarchive import DockerArchive
from services.builder.oci.downloads import update
from services.builder.oci.manifests import (
    LIMIT,
    descriptor_of,
    document_of,
    listed,
    media_type_of,
)
from services.builder.oci.shelves import FolderShelf, Shelf, TarShelf, invalid

_MOST_DOCUMENTS: Final = 1000
_DEEPEST: Final = 4
_MOST_LAYERS: Final = 1000
_NAMES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Image:
    """``manifest`` is byte for byte what was in the layout, or what stands for a docker archive's.

    ``names`` are what it was called where it comes from, in whatever form.
    """

    names: tuple[str, ...]
    platform: Platform
    manifest: bytes
    descriptor: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]


@asynccontextmanager
async def open_layout(source: Path | BinaryIO) -> AsyncIterator["Layout"]:
    """A folder, a tar file by its path, or one that is open and can be read anywhere."""
    if isinstance(source, Path) and not source.is_dir():
        if not source.is_file():
            raise invalid(f"there is no file {source.name[:200]!r}")
        with await asyncio.to_thread(_open, source) as file:
            yield await asyncio.to_thread(_read, TarShelf, file)
        return
    if isinstance(source, Path):
        shelf = FolderShelf(source)
        try:
            yield await asyncio.to_thread(Layout, shelf)
        finally:
            shelf.close()
        return
    yield await asyncio.to_thread(_read, TarShelf, source)


class Layout:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._docker: DockerArchive | None = None
        self._read = 0
        if shelf.size("oci-layout") is not None:
            found = self._of_index()
        elif shelf.size("manifest.json") is not None:
            self._docker = DockerArchive(shelf)
            found = [
                self._image(each.manifest, each.descriptor, each.names)
                for each in self._docker.images
            ]
        else:
            raise invalid("it is neither an OCI image layout nor a docker archive")
        self.images = tuple(each for each in found if each is not None)
        if not self.images:
            raise invalid("it holds no image")

    async def blob(self, described: Descriptor) -> AsyncIterator[bytes]:
        """Ends with an error where the bytes are others."""
        seen = hashlib.new(described.digest.partition(":")[0])
        pieces = self._pieces(described.digest)
        while piece := await asyncio.to_thread(next, pieces, b""):
            await update(seen, piece)
            yield piece
        if not described.digest.endswith(f":{seen.hexdigest()}"):
            raise invalid(f"there are other bytes as {described.digest}")

    async def push(self, image: Image, remote: Remote, *, repository: str, reference: str) -> str:
        """The digest of what is there afterwards. Nothing is sent of what was there."""
        for each in image.layers:
            if not await remote.has_blob(repository, each.digest):
                await remote.push(repository, partial(self.blob, each))
        await remote.push_bytes(repository, self._content(image.config))
        return await remote.put_manifest(
            repository, reference, image.manifest, image.descriptor.media_type
        )

    def _of_index(self) -> list[Image | None]:
        version = document_of(self._shelf.read("oci-layout", limit=LIMIT))
        if not str(version.get("imageLayoutVersion", "")).startswith("1."):
            raise invalid("its layout has another version than 1")
        top = listed(self._shelf.read("index.json", limit=LIMIT))
        return [found for each in top for found in self._below(each, (), depth=0)]

    def _below(
        self, described: Descriptor, names: tuple[str, ...], *, depth: int
    ) -> Iterator[Image | None]:
        """An index may list what was not exported."""
        self._read += 1
        if self._read > _MOST_DOCUMENTS or depth > _DEEPEST:
            raise invalid("it has too many indexes")
        known = [described.annotations[each] for each in _NAMES if each in described.annotations]
        names = (*dict.fromkeys((*names, *known)),)
        if depth and self._size(described.digest) is None:
            return
        if described.media_type in MANIFESTS:
            yield self._image(self._content(described), described, names)
        elif described.media_type in INDEXES:
            for each in listed(self._content(described)):
                yield from self._below(each, names, depth=depth + 1)

    def _image(
        self, manifest: bytes, described: Descriptor, names: tuple[str, ...]
    ) -> Image | None:
        """``None`` for what is attached to images, and is none."""
        document = document_of(manifest)
        media_type_of(described.media_type, manifest)
        config = descriptor_of(document.get("config"))
        if config.media_type not in CONFIGS or "subject" in document:
            return None
        layers = self._layers(document)
        said = document_of(self._content(config))
        if said.get("os") == "unknown" or (described.platform or _ANY).os == "unknown":
            return None
        _require_diffs(said, len(layers))
        try:
            platform = Platform.from_json(said)
        except DescriptorInvalidError as error:
            raise invalid(f"the configuration of an image: {error}") from None
        whole = Descriptor(
            described.media_type, described.digest, described.size, platform=platform
        )
        return Image(names, platform, manifest, whole, config, layers)

    def _layers(self, document: dict[str, Any]) -> tuple[Descriptor, ...]:
        said = document.get("layers")
        if not isinstance(said, list) or len(said) > _MOST_LAYERS:
            raise invalid("an image without layers, or with too many")
        layers = tuple(descriptor_of(each) for each in said)
        for each in layers:
            if each.media_type not in LAYERS:
                raise invalid(f"a layer of type {each.media_type} is not known")
            if self._size(each.digest) != each.size:
                raise invalid(f"the layer {each.digest} is missing or has another size")
        return layers

    def _content(self, described: Descriptor) -> bytes:
        if described.size > LIMIT:
            raise invalid(f"a document of {described.size} bytes")
        content = b"".join(self._pieces(described.digest, limit=LIMIT))
        algorithm = described.digest.partition(":")[0]
        if len(content) != described.size or digest_of(content, algorithm) != described.digest:
            raise invalid(f"there are other bytes as {described.digest}")
        return content

    def _size(self, digest: str) -> int | None:
        if self._docker is not None:
            return self._docker.size(digest)
        return self._shelf.size(_path(digest))

    def _pieces(self, digest: str, *, limit: int | None = None) -> Iterator[bytes]:
        if self._docker is not None:
            return self._docker.pieces(digest)
        if limit is not None:
            return iter([self._shelf.read(_path(digest), limit=limit)])
        return self._shelf.pieces(_path(digest))


_ANY: Final = Platform("any", "any")


def _require_diffs(config: dict[str, Any], layers: int) -> None:
    rootfs = config.get("rootfs")
    diffs = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diffs, list) or len(diffs) != layers:
        raise invalid("the configuration of an image names other layers than its manifest")


def _path(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _read(shelf: type[TarShelf], file: BinaryIO) -> Layout:
    return Layout(shelf(file))
