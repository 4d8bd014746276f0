"""Base images as other tools write them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.contracts.mediatypes import OCI_CONFIG, OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder.oci import Descriptor
from services.builder.service.looking import Looking


@dataclass(frozen=True, slots=True)
class OneImage:
    config: bytes

    async def manifest(self, _repository: str, _reference: str, /) -> tuple[Descriptor, bytes]:
        size, digest = len(self.config), digest_of(self.config)
        config = {"mediaType": OCI_CONFIG, "digest": digest, "size": size}
        body = json.dumps({"config": config, "layers": []}).encode()
        return Descriptor(OCI_MANIFEST, digest_of(body), len(body)), body

    async def blob(self, _repository: str, _digest: str, /, *, size: int) -> AsyncIterator[bytes]:
        assert size == len(self.config)
        yield self.config


@pytest.mark.parametrize("run", [{}, {"config": None}, {"config": {"Env": None, "Labels": None}}])
async def test_an_image_that_sets_nothing_is_looked_into(
    run: dict[str, object], tmp_path: Path
) -> None:
    source = OneImage(json.dumps({"rootfs": {"diff_ids": []}, **run}).encode())
    found = await Looking(tmp_path).look(
        source, "base", "base:v1", digest="sha256:0", platform="linux/amd64"
    )
    base = found.base
    assert (base.env, base.labels, base.layers) == ((), (), ())
