"""Images that are written layer by layer: what is in them, and what later builds find again."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from services.builder.domain import BuildView, Wish
from services.builder.oci import Remote
from tests.support.based import on_base
from tests.support.builder import PYTHON, Yard

pytestmark = pytest.mark.skipif(PYTHON != "3.11", reason="the base image has Python 3.11")


async def build(yard: Yard, tag: str, wish: Wish | None = None) -> BuildView:
    build = await yard.order(tag, wish or Wish())
    return await yard.ended(build)


async def document(home: Remote, digest: str) -> Mapping[str, Any]:
    _, body = await home.manifest("yatai-bentos", digest)
    found: Mapping[str, Any] = json.loads(body)
    return found


async def test_an_image_is_assembled_and_found_again(yard: Yard) -> None:
    home = await on_base(yard)
    await yard.push("fox:v1", files={"env/docker/entrypoint.sh": "#!/bin/bash\n"})
    first = await build(yard, "fox:v1")
    assert (first.status, first.strategy, first.reused) == ("built", "assemble", False), yard.log(
        first.id
    )
    assert first.uri == f"oci://yatai-bentos:yatai.fox.v1@{first.image_digest}"
    again = await build(yard, "fox:v1")
    assert (again.image_digest, again.reused) == (first.image_digest, True)
    anew = await build(yard, "fox:v1", Wish(no_cache=True))
    assert (anew.image_digest, anew.reused) == (first.image_digest, False), "byte for byte"
    manifest = await document(home, str(first.image_digest))
    assert len(manifest["layers"]) == 4
