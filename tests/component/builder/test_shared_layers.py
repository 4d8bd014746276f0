"""Builders with disks of their own find each other's layers in the platform's registry."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Database, Pool
from services.builder.domain import BuildView, Wish
from services.builder.errors import RegistryUnreachableError
from services.builder.oci import Remote
from services.builder.service import SharedLayers, Tx
from services.builder.service.sharing import REPOSITORY
from tests.support.base_image import small_image
from tests.support.based import REFERENCE, WHO
from tests.support.buildah import started
from tests.support.builder import OTHER, Yard, building

pytestmark = pytest.mark.timeout(120)

NAME = "yatai-bentos"
_USED = "SELECT tag FROM shared_layer WHERE used_at > now() - interval '1 day'"
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
        said = re.search(
            rf"pulled from remote \S+{REPOSITORY}:([0-9a-f]{{64}})", yard.log(found.id)
        )
        assert said is not None
        assert await yard.home(WHO).find(REPOSITORY, said[1]) is not None
        assert await yard.home(OrgRef(OTHER, "other")).find(REPOSITORY, said[1]) is None


async def test_layers_that_nobody_uses_are_removed(
    pool: Pool, shelves: Pool, tmp_path: Path, base: Path
) -> None:
    async with builder(pool, shelves, tmp_path, "first") as yard:
        await yard.shop.bases.bring(WHO, REFERENCE, base)
        await build(yard, "fox:v1", Wish())
        tags = [row["tag"] for row in await pool.fetch("SELECT tag FROM shared_layer")]
        assert len(tags) == 4
        await pool.execute("UPDATE shared_layer SET used_at = now() - interval '91 days'")
        await build(yard, "fox:v2", Wish())
        used = {row["tag"] for row in await pool.fetch(_USED)}
        home, old = yard.home(WHO), set(tags) - used
        assert (len(used), len(old)) == (4, 1)  # the label with the bento's name is another

        assert (await yard.shop.housekeeping.sweep()).forgotten == 1

        assert {tag for tag in {*tags, *used} if await home.find(REPOSITORY, tag)} == used
        assert await pool.fetchval("SELECT count(*) FROM shared_layer") == 4


async def test_what_the_registry_does_not_remove_is_tried_again(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    async with builder(pool, shelves, tmp_path, "first") as yard:
        await yard.shop.housekeeping.sweep()
        tag = "f" * 64
        await pool.execute(
            "INSERT INTO shared_layer VALUES ($1, 'default', $2, now() - interval '91 days')",
            WHO.org_id,
            tag,
        )
        shop = SharedLayers(Database(pool, Tx.bind), _away)
        assert await shop.sweep(timedelta(days=90)) == 0
        assert await pool.fetchval("SELECT tag FROM shared_layer") == tag
        assert (await yard.shop.housekeeping.sweep()).forgotten == 1
        assert await pool.fetchval("SELECT count(*) FROM shared_layer") == 0


def _away(_: OrgRef) -> Remote:
    raise RegistryUnreachableError("registry", "it is away")
