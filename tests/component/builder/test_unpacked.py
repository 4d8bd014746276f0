"""What a revision of the mode `image` asks for: the container image, and its folder here."""

import json
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from libs.chassis.client import OrgRef
from libs.chassis.postgres import Pool
from services.builder.domain import BuildView
from services.builder.errors import ImageGoneError
from services.builder.plan import BENTO, ENTRYPOINT
from tests.support.builder import ORG, OTHER, Yard
from tests.support.little_image import little_image

pytestmark = pytest.mark.long


async def built(yard: Yard) -> tuple[str, BuildView]:
    who = OrgRef(ORG, "default")
    await yard.shop.bases.bring(who, "python:3.11-slim", little_image(yard.folder / "base"))
    digest = await yard.push("fox:v1", files={"env/docker/entrypoint.sh": "#!/bin/bash\n"})
    done = await yard.ended(await yard.request(digest, kind="oci"))
    assert done.status == "built", done.reason
    return digest, done


async def test_it_is_unpacked_whole_and_said_where(yard: Yard, pool: Pool) -> None:
    _, done = await built(yard)

    folder = yard.folders.unpacked(str(done.image_digest))
    config = json.loads((folder / "config.json").read_bytes())
    assert config["config"]["Entrypoint"] == [ENTRYPOINT]
    root = folder / "rootfs"
    assert (root / ENTRYPOINT.lstrip("/")).stat().st_mode & 0o777 == 0o555
    assert (root / BENTO.lstrip("/") / "bento.yaml").read_text().startswith("bentoml_version")
    assert (root / "etc/passwd").read_text().startswith("root:")
    said = json.loads(
        await pool.fetchval("SELECT body FROM outbox WHERE type LIKE '%image.built%'")
    )["data"]
    assert (said["kind"], said["uri"]) == ("oci", done.uri)
    assert said["folder"] == folder.resolve().as_uri()


async def test_it_stays_while_it_is_held_and_goes_afterwards(yard: Yard, pool: Pool) -> None:
    digest = str((await built(yard))[1].image_digest)
    revision = uuid7()
    await yard.images.hold(ORG, revision, digest)
    await pool.execute("UPDATE build SET ended_at = now() - interval '2 hours'")

    assert (await yard.images.prune(ORG)).removed == ()
    with pytest.raises(ImageGoneError):
        await yard.images.hold(OTHER, UUID(int=9), digest)
    await yard.images.release(ORG, revision)
    assert (await yard.images.prune(ORG)).removed == (f"unpacked/{digest[7:]}",)
    with pytest.raises(ImageGoneError):
        await yard.images.hold(ORG, revision, digest)


async def test_it_is_unpacked_once_and_again_when_it_is_not_whole(yard: Yard) -> None:
    digest, first = await built(yard)
    folder = yard.folders.unpacked(str(first.image_digest))
    made = folder.stat().st_ino

    second = await yard.ended(await yard.request(digest, kind="oci"))
    assert (second.image_digest, second.reused) == (first.image_digest, True)
    assert folder.stat().st_ino == made
    (folder / ".complete").unlink()
    third = await yard.ended(await yard.request(digest, kind="oci"))
    assert (third.image_digest, third.reused) == (first.image_digest, False)
    assert (folder / ".complete").exists()
