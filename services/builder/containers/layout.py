"""What buildah has written, without the names it had here: the same build is the same bytes."""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from libs.contracts.mediatypes import OCI_LAYER_GZIP
from libs.contracts.types import digest_of

_LEVEL: Final = 4
_CHUNK: Final = 1 << 20


def settle(source: Path, target: Path, *, base: Path | None = None) -> str:
    """The image of ``source`` as a layout; ``source`` is what ``push dir:`` makes, uncompressed.

    Layers of ``base`` are what they are there, so that a registry has them already. The digest of
    the manifest.
    """
    (target / "blobs" / "sha256").mkdir(parents=True)
    (target / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    manifest = _read(source / "manifest.json")
    config = _read(_exported(source, manifest["config"]))
    for each in config.get("history", ()):
        each.pop("comment", None)  # the name of the image it was built on
    manifest["config"] |= _written(target, config)
    have = dict(_layers(base)) if base is not None else {}
    manifest["layers"] = [
        _copied(base, target, have[each["digest"]])
        if base is not None and each["digest"] in have
        else _compressed(_exported(source, each), target)
        for each in manifest["layers"]
    ]
    manifest.pop("annotations", None)  # of the base image, as it was called in the storage
    platform = {key: config[key] for key in ("architecture", "os", "variant") if config.get(key)}
    described = {"mediaType": manifest["mediaType"], **_written(target, manifest)}
    index = {"schemaVersion": 2, "manifests": [described | {"platform": platform}]}
    (target / "index.json").write_bytes(_json(index))
    return str(described["digest"])


def _layers(layout: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Descriptors by the digest of what is inside of their compression."""
    for entry in _read(layout / "index.json")["manifests"]:
        manifest = _read(_blob(layout, entry))
        inside = _read(_blob(layout, manifest["config"]))["rootfs"]["diff_ids"]
        yield from zip(inside, manifest["layers"], strict=True)


def _compressed(tar: Path, target: Path) -> dict[str, Any]:
    partial = target / "layer"
    with (
        tar.open("rb") as source,
        partial.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0, filename="") as out,
    ):
        shutil.copyfileobj(source, out, _CHUNK)
    with partial.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    size = partial.stat().st_size
    partial.rename(target / "blobs" / "sha256" / digest)
    return {"mediaType": OCI_LAYER_GZIP, "digest": f"sha256:{digest}", "size": size}


def _copied(source: Path, target: Path, descriptor: dict[str, Any]) -> dict[str, Any]:
    shutil.copyfile(_blob(source, descriptor), _blob(target, descriptor))
    return descriptor


def _written(layout: Path, value: dict[str, Any]) -> dict[str, Any]:
    body = _json(value)
    described = {"digest": digest_of(body), "size": len(body)}
    _blob(layout, described).write_bytes(body)
    return described


def _exported(source: Path, descriptor: dict[str, Any]) -> Path:
    return source / str(descriptor["digest"]).rpartition(":")[2]


def _blob(layout: Path, descriptor: dict[str, Any]) -> Path:
    return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
