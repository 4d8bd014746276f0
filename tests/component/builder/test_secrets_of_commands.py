"""A real buildah whose commands read secrets: these are nowhere afterwards."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.chassis.postgres import Pool
from services.builder.domain import BuildView, Wish
from services.builder.oci import Remote
from tests.support import postgres
from tests.support.base_image import small_image
from tests.support.based import REFERENCE, WHO
from tests.support.buildah import started
from tests.support.builder import Yard, building
from tests.support.postgres import PostgresServer
from tests.support.safe import Safe, safe
from tests.support.traces import dumped, files_with, forms, joined, traces

pytestmark = pytest.mark.timeout(120)

VALUE = "kept/to ourselves+42"
SHOWS = (
    'RUN --mount=type=secret,id=HUB_TOKEN test -n "$(cat /run/secrets/HUB_TOKEN)"; '
    "cat /run/secrets/HUB_TOKEN; echo; base64 /run/secrets/HUB_TOKEN; "
    "wc -c < /run/secrets/HUB_TOKEN > /size"
)
TOKEN = {"name": "HUB_TOKEN", "stage": "build", "value": ""}
NAME = "yatai-bentos"


@dataclass
class Place:
    yard: Yard
    safe: Safe
    pool: Pool

    async def build(self, command: str, *secrets: str, tag: str = "fox:v1") -> BuildView:
        files = {"env/docker/Dockerfile": f"FROM python:3.11-slim\n{command}\n"}
        image = {"python_version": "3.11", "commands": ["true"]}
        await self.yard.push(tag, image=image, files=files, envs=[TOKEN])
        return await self.again(*secrets, tag=tag)

    async def again(self, *secrets: str, tag: str = "fox:v1") -> BuildView:
        return await self.yard.ended(await self.yard.order(tag, Wish(secrets=secrets)))

    async def require_nowhere(self, build: BuildView) -> None:
        """As it was, in base64, quoted, reversed: in rows, events, files, and what is shown."""
        assert not traces(VALUE, await dumped(self.pool))
        assert not files_with(VALUE, self.yard.folders.root, self.yard.folder / "blobs")
        assert not traces(VALUE, f"{build} {self.yard.log(build.id)}".encode())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_image(tmp_path_factory.mktemp("small"))


@pytest.fixture
async def place(
    pool: Pool, shelves: Pool, tmp_path: Path, base: Path, postgres_server: PostgresServer
) -> AsyncIterator[Place]:
    async with (
        started(tmp_path / "builder" / "buildah") as buildah,
        postgres_server.database("deployer") as url,
        postgres.pool_of(url) as sealed,
        safe(sealed, tmp_path) as kept,
        building(pool, shelves, tmp_path, secrets_url=kept.url, buildah=buildah) as yard,
    ):
        await yard.shop.bases.bring(WHO, REFERENCE, base)
        yield Place(yard, kept, pool)


async def everything(home: Remote, digest: str | None) -> bytes:
    """Manifest, config with its history, and layers, unpacked."""
    assert digest is not None
    _, manifest = await home.manifest(NAME, digest)
    described = json.loads(manifest)
    config = await _content(home, described["config"])
    pieces = [manifest, config]
    for each in described["layers"]:
        with tarfile.open(fileobj=io.BytesIO(await _content(home, each))) as tar:
            for member in tar:
                pieces.append(member.name.encode())
                if file := tar.extractfile(member) if member.isreg() else None:
                    pieces.append(file.read())
    return joined(pieces)


async def _content(home: Remote, described: dict[str, object]) -> bytes:
    size = int(str(described["size"]))
    pieces = home.blob(NAME, str(described["digest"]), size=size)
    return b"".join([each async for each in pieces])


async def test_a_command_reads_a_secret_that_is_nowhere_afterwards(place: Place) -> None:
    await place.safe.keep("hub", HUB_TOKEN=VALUE)
    built = await place.build(SHOWS, "hub")
    assert (built.status, built.strategy) == ("built", "buildah"), built.reason
    assert "given in secret: HUB_TOKEN" in place.yard.log(built.id)
    assert place.yard.log(built.id).count("***") >= 2
    content = await everything(place.yard.home(WHO), built.image_digest)
    assert f"{len(VALUE)}\n".encode() in content  # it was read
    assert not [form for form in forms(VALUE) if form in content]
    await place.require_nowhere(built)


async def test_another_value_runs_the_commands_again_and_the_same_does_not(place: Place) -> None:
    await place.safe.keep("hub", HUB_TOKEN=VALUE)
    first = await place.build(SHOWS, "hub")
    same = await place.again("hub")
    assert (same.reused, same.image_digest) == (True, first.image_digest), same.reason
    await place.safe.keep("hub", HUB_TOKEN="another value that is longer")
    other = await place.again("hub")
    assert (other.status, other.reused) == ("built", False), other.reason
    assert other.image_digest != first.image_digest  # its size is in it


async def test_a_command_that_fails_says_why_and_no_secret(place: Place) -> None:
    await place.safe.keep("hub", HUB_TOKEN=VALUE)
    failed = await place.build(f"{SHOWS}; echo so it is; exit 3", "hub")
    assert (failed.status, failed.code) == ("failed", "image-build-failed"), failed.reason
    assert "so it is" in str(failed.reason)
    await place.require_nowhere(failed)


async def test_a_variable_without_a_value_is_missed_by_name(place: Place) -> None:
    await place.safe.keep("other", OTHER="abcd")
    failed = await place.build(SHOWS, "other")
    assert (failed.status, failed.code) == ("failed", "variable-absent"), failed.reason
    assert "HUB_TOKEN" in str(failed.reason)
