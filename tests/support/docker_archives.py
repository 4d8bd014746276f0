"""Tars as ``docker save`` writes them, made here."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any, Final

from tests.support.oci import digest_of

PAYLOAD: Final = b"payload" * 100_000


def tar_of(files: Mapping[str, bytes | str]) -> bytes:
    """A text is where a link leads."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


LAYER = tar_of({"payload": PAYLOAD})


def config_of(*diffs: bytes, **more: Any) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [digest_of(each) for each in diffs]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **more}).encode()


def saved(*, layer: bytes = LAYER, **changed: Any) -> dict[str, bytes | str]:
    """As ``docker save`` once did it, with a layer that is used twice."""
    entry = {
        "Config": "c.json",
        "RepoTags": ["python:3.11"],
        "Layers": ["one/layer.tar", "two/layer.tar"],
        **changed,
    }
    return {
        "one/layer.tar": layer,
        "two/layer.tar": "../one/layer.tar",
        "c.json": config_of(LAYER, LAYER),
        "manifest.json": json.dumps([entry]).encode(),
    }
