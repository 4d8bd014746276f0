"""An image of a few files, written as an OCI layout: what a base image has to have, and no more."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.oci import CONFIG, IMAGE, INDEX, LAYER_GZIP

PYTHON_FILES: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "bin/bash": "",
    "usr/local/bin/python3.11": "",
    "usr/local/include/python3.11/patchlevel.h": '#define PY_VERSION "3.11.9"\n',
    "var/lib/dpkg/status": (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n"
        "Version: 2.36-9+deb12u9\n"
    ),
}


def little_image(
    folder: Path,
    *,
    architectures: tuple[str, ...] = ("amd64", "arm64"),
    files: Mapping[str, str] = PYTHON_FILES,
) -> Path:
    """The layout's folder, with one image per architecture."""
    (folder / "blobs/sha256").mkdir(parents=True)
    manifests = [_image(folder, each, files) for each in architectures]
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def _image(folder: Path, architecture: str, files: Mapping[str, str]) -> dict[str, Any]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in {**files, "etc/arch": architecture}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    layer = _stored(folder, LAYER_GZIP, gzip.compress(packed.getvalue(), mtime=0))
    diff_id = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
    platform = {"os": "linux", "architecture": architecture}
    config = {
        **platform,
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": _stored(folder, CONFIG, json.dumps(config).encode()),
        "layers": [layer],
    }
    described = _stored(folder, IMAGE, json.dumps(manifest).encode())
    return {**described, "platform": platform}


def _stored(folder: Path, media_type: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
