"""Packages from an index with a password: it is used, and nobody hears it."""

from pathlib import Path

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Pool
from services.builder.domain import Wish
from tests.support.builder import ORG, building
from tests.support.little_image import little_image
from tests.support.private_index import private_index
from tests.support.tiny import stand_in_wheel
from tests.support.twenty import sauce

PASSWORD = "s3cret/@"


async def test_its_password_is_in_no_log_and_no_reason(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    sauce(shelf).with_name("bentoml-1.4.0-py3-none-any.whl").write_bytes(stand_in_wheel())
    with private_index(shelf, user="cook", password=PASSWORD) as index:
        async with building(pool, shelves, tmp_path, index_url=index.address) as yard:
            layout = little_image(tmp_path / "base")
            await yard.shop.bases.bring(OrgRef(ORG, "default"), "python:3.11-slim", layout)
            said = []
            for tag, package in (("fox:v1", "house-sauce"), ("hen:v1", "no-such-sauce")):
                await yard.push(tag, package, image={"python_version": "3.11"})
                build = await yard.ended(await yard.order(tag, Wish()))
                said.append((build.status, build.code))
                assert "s3cret" not in f"{yard.log(build.id)} {build.reason}"
    assert said == [("built", None), ("failed", "requirements-unresolvable")]
    assert index.taken == {each.name for each in shelf.iterdir()}
