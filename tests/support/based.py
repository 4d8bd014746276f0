"""A yard whose registry has the base image, pinned."""

import json
from pathlib import Path
from typing import Final

from libs.chassis.client import OrgRef
from services.builder.oci import Remote
from tests.support.base_image import base_image
from tests.support.builder import ORG, Yard

REFERENCE: Final = "python:3.11-slim"
_REPOSITORY: Final = "base/docker.io/library/python"


async def on_base(yard: Yard) -> Remote:
    """The registry, as the builder sees it."""
    home = yard.home(OrgRef(ORG, "default"))
    layout = base_image()
    index = json.loads((layout / "index.json").read_text())
    [found] = index["manifests"]
    body = _blob(layout, found["digest"])
    manifest = json.loads(body)
    for each in (manifest["config"], *manifest["layers"]):
        await home.push_bytes(_REPOSITORY, _blob(layout, each["digest"]))
    await home.put_manifest(_REPOSITORY, found["digest"], body, found["mediaType"])
    await yard.shop.bases.adopt(
        OrgRef(ORG, "default"),
        REFERENCE,
        platform="linux/amd64",
        digest=found["digest"],
        source="a test",
    )
    return home


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()
