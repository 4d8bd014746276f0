"""What ``docker save`` wrote before it wrote OCI layouts: a manifest is made for each image."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from libs.contracts.mediatypes import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from libs.contracts.types import digest_of
from services.builder.oci.descriptor import Descriptor, DescriptorInvalidError
from services.builder.oci.manifests import LIMIT, document_of
from services.builder.oci.shelves import Shelf, invalid

_MOST_IMAGES: Final = 1000
_MOST_LAYERS: Final = 1000
_PACKED: Final = {b"\x1f\x8b": OCI_LAYER_GZIP, b"\x28\xb5\x2f\xfd": OCI_LAYER_ZSTD}
"""Docker never packs layers here; other programs that write the form do."""


@dataclass(frozen=True, slots=True)
class Made:
    names: tuple[str, ...]
    manifest: bytes
    descriptor: Descriptor


class DockerArchive:
    """Blobs by digest, where the archive has them by names."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._names: dict[str, str] = {}
        self._packed: dict[str, Descriptor] = {}
        self.images = tuple(self._made(each) for each in self._entries())

    def size(self, digest: str) -> int | None:
        name = self._names.get(digest)
        return None if name is None else self._shelf.size(name)

    def pieces(self, digest: str) -> Iterator[bytes]:
        if digest not in self._names:
            raise invalid(f"there is no {digest}")
        return self._shelf.pieces(self._names[digest])

    def _entries(self) -> list[dict[str, Any]]:
        try:
            said = json.loads(self._shelf.read("manifest.json", limit=LIMIT))
        except (ValueError, RecursionError):
            raise invalid("its manifest.json is no JSON") from None
        if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
            raise invalid("its manifest.json is no list of images")
        if len(said) > _MOST_IMAGES:
            raise invalid(f"it has {len(said)} images")
        return said

    def _made(self, entry: dict[str, Any]) -> Made:
        name, names = _text(entry.get("Config")), _texts(entry.get("Layers"))
        content = self._shelf.read(name, limit=LIMIT)
        config = Descriptor(OCI_CONFIG, digest_of(content), len(content))
        self._names[config.digest] = name
        rootfs = document_of(content).get("rootfs")
        diffs = _texts(rootfs.get("diff_ids") if isinstance(rootfs, dict) else None)
        if len(diffs) != len(names):
            raise invalid("the configuration of an image names other layers than its manifest")
        layers = [self._layer(*each) for each in zip(names, diffs, strict=True)]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [each.to_json() for each in layers],
        }
        manifest = json.dumps(document, separators=(",", ":")).encode()
        descriptor = Descriptor(OCI_MANIFEST, digest_of(manifest), len(manifest))
        return Made(tuple(_texts(entry.get("RepoTags") or [])), manifest, descriptor)

    def _layer(self, name: str, diff: str) -> Descriptor:
        """A plain tar is what the configuration says of it; that is verified when it is read."""
        size = self._shelf.size(name)
        if size is None:
            raise invalid(f"there is no {name[:200]!r}")
        begin = next(self._shelf.pieces(name), b"")
        packed = next((kind for magic, kind in _PACKED.items() if begin.startswith(magic)), None)
        if packed is not None:
            found = self._hashed(name, size, packed)
        else:
            try:
                found = Descriptor(OCI_LAYER, diff, size)
            except DescriptorInvalidError as error:
                raise invalid(str(error)) from None
        self._names[found.digest] = name
        return found

    def _hashed(self, name: str, size: int, kind: str) -> Descriptor:
        if name not in self._packed:
            seen = hashlib.sha256()
            for piece in self._shelf.pieces(name):
                seen.update(piece)
            self._packed[name] = Descriptor(kind, f"sha256:{seen.hexdigest()}", size)
        return self._packed[name]


def _texts(said: object) -> list[str]:
    if not isinstance(said, list) or len(said) > _MOST_LAYERS:
        raise invalid("its manifest.json has no list where one belongs, or one that is too long")
    return [_text(each) for each in said]


def _text(said: object) -> str:
    if not isinstance(said, str) or not said or not PurePosixPath(said).parts:
        raise invalid("its manifest.json has no text where one belongs")
    return said
