"""An image as a folder (OCI image layout), made here: no program that builds images is needed."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.support.oci import CONFIG, IMAGE, INDEX, LAYER_GZIP, described, digest_of


def write_layout(folder: Path, *, payload: bytes, tag: str = "v1") -> bytes:
    """Of one layer, which has ``payload`` as a file; the manifest."""
    tar = _tar(payload)
    layer = gzip.compress(tar, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/payload"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [digest_of(tar)],
            },
        }
    ).encode()
    manifest = _json(
        schemaVersion=2,
        mediaType=IMAGE,
        config=described(config, CONFIG),
        layers=[described(layer, LAYER_GZIP)],
    )
    entry = described(manifest, IMAGE) | {
        "annotations": {"org.opencontainers.image.ref.name": tag},
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for each in (layer, config, manifest):
        (blobs / hashlib.sha256(each).hexdigest()).write_bytes(each)
    (folder / "oci-layout").write_bytes(_json(imageLayoutVersion="1.0.0"))
    (folder / "index.json").write_bytes(_json(schemaVersion=2, mediaType=INDEX, manifests=[entry]))
    return manifest


def _tar(payload: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("payload")
        info.size, info.mode = len(payload), 0o755
        tar.addfile(info, io.BytesIO(payload))
    return out.getvalue()


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
