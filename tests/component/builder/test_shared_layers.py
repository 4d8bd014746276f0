"""Builders with disks of their own find each other's layers in the platform's registry."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Pool
from services.builder.domain import BuildView, Wish
from services.builder.service.dockerfile import CACHE
from tests.support.base_image import small_image
from tests.support.based import REFERENCE, WHO
from tests.support.buildah import started
from tests.support.builder import OTHER, Yard, building

pytestmark = pytest.mark.timeout(120)

NAME = "yatai-bentos"
RANDOM = "RUN head -c 16 /dev/urandom > /random"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_image(tmp_path_factory.mktemp("small"))


@asynccontextmanager
async def builder(pool: Pool, shelves: Pool, folder: Path, disk: str) -> AsyncIterator[Yard]:
    """One of several, on the same databases and the same registry."""
    async with (
        started(folder / disk) as buildah,
        building(pool, shelves, folder, buildah=buildah, shares_layers=True) as yard,
    ):
        yield yard


async def build(yard: Yard, tag: str, wish: Wish) -> BuildView:
    files = {"env/docker/Dockerfile": f"FROM {REFERENCE}\n{RANDOM}\n"}
    image = {"python_version": "3.11", "commands": ["true"]}
    await yard.push(tag, image=image, files=files)
    built = await yard.ended(await yard.order(tag, wish))
    assert (built.status, built.strategy) == ("built", "buildah"), built.reason
    return built


async def random_layer(yard: Yard, build: BuildView) -> str:
    assert build.image_digest is not None
    _, manifest = await yard.home(WHO).manifest(NAME, build.image_digest)
    described: dict[str, Any] = json.loads(manifest)
    return str(described["layers"][1]["digest"])


async def test_a_builder_with_an_empty_disk_runs_nothing_again(
    pool: Pool, shelves: Pool, tmp_path: Path, base: Path
) -> None:
    async with builder(pool, shelves, tmp_path, "first") as yard:
        await yard.shop.bases.bring(WHO, REFERENCE, base)
        one = await random_layer(yard, await build(yard, "fox:v1", Wish()))
    async with builder(pool, shelves, tmp_path, "second") as yard:
        found = await build(yard, "fox:v2", Wish())
        assert "Cache pulled from remote" in yard.log(found.id)
        assert await random_layer(yard, found) == one
        fresh = await build(yard, "fox:v3", Wish(no_cache=True))
        assert "Using cache" not in yard.log(fresh.id)
        assert await random_layer(yard, fresh) != one
        said = re.search(rf"pulled from remote \S+{CACHE}:([0-9a-f]{{64}})", yard.log(found.id))
        assert said is not None
        assert await yard.home(WHO).find(CACHE, said[1]) is not None
        assert await yard.home(OrgRef(OTHER, "other")).find(CACHE, said[1]) is None
