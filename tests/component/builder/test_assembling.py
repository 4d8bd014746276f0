"""Images that are written layer by layer: what is in them, and what later builds find again."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from libs.chassis.postgres import Pool
from libs.contracts.deployer import PinnedModel
from services.builder.domain import BuildView, Strategy, Wish
from services.builder.oci import Remote
from services.builder.plan import BENTO, DEFAULT_COMMANDS, ENTRYPOINT, Naming
from tests.support.based import REFERENCE, WHO, on_base
from tests.support.builder import ORG, Yard, building
from tests.support.little_image import PYTHON_FILES, little_image
from tests.support.oci_registries import registry_of

NAME = "yatai-bentos"
IMAGE = {"python_version": "3.11"}


@pytest.fixture
async def home(yard: Yard) -> Remote:
    """The registry, with a base image for two platforms in it."""
    return await on_base(yard)


async def build(yard: Yard, tag: str, wish: Wish | None = None, **image: Any) -> BuildView:
    await yard.push(tag, image={**IMAGE, **image})
    return await again(yard, tag, wish)


async def again(yard: Yard, tag: str, wish: Wish | None = None) -> BuildView:
    return await yard.ended(await yard.order(tag, wish or Wish()))


async def document(home: Remote, digest: str | None) -> dict[str, Any]:
    assert digest is not None
    _, body = await home.manifest(NAME, digest)
    found: dict[str, Any] = json.loads(body)
    return found


async def layers(home: Remote, build: BuildView) -> list[str]:
    return [each["digest"] for each in (await document(home, build.image_digest))["layers"]]


async def content(home: Remote, described: dict[str, Any]) -> bytes:
    pieces = home.blob(NAME, described["digest"], size=described["size"])
    return b"".join([each async for each in pieces])


async def members(home: Remote, build: BuildView) -> dict[str, tarfile.TarInfo]:
    """All that lies above the base image."""
    manifest = await document(home, build.image_digest)
    found = {}
    for each in manifest["layers"][1:]:
        packed = io.BytesIO(await content(home, each))
        with tarfile.open(fileobj=packed) as tar:
            found.update({member.name: member for member in tar})
    return found


@pytest.mark.usefixtures("home")
async def test_an_image_is_found_again_and_made_again_byte_for_byte(yard: Yard) -> None:
    first = await build(yard, "fox:v1")
    assert (first.status, first.strategy, first.reused) == ("built", "assemble", False), first
    assert first.uri == f"oci://{NAME}:yatai.fox.v1@{first.image_digest}"
    found = await again(yard, "fox:v1")
    assert (found.image_digest, found.reused) == (first.image_digest, True)
    anew = await again(yard, "fox:v1", Wish(no_cache=True))
    assert (anew.image_digest, anew.reused) == (first.image_digest, False)


async def test_it_has_the_paths_and_the_user_of_bentomls_own_containers(
    yard: Yard, home: Remote
) -> None:
    built = await build(yard, "fox:v1", envs=[])
    config = json.loads(await content(home, (await document(home, built.image_digest))["config"]))[
        "config"
    ]
    assert config["User"] == "bentoml"
    assert config["Entrypoint"] == [ENTRYPOINT]
    assert set(config["ExposedPorts"]) == {"3000/tcp", "3001/tcp"}
    assert f"BENTO_PATH={BENTO}" in config["Env"]
    found = await members(home, built)
    entrypoint = found[ENTRYPOINT.lstrip("/")]
    assert (entrypoint.mode, entrypoint.uid, entrypoint.mtime) == (0o755, 1034, 0)
    assert found["app/.venv/bin/python"].linkname == "/usr/local/bin/python3.11"
    assert "app/.venv/lib/python3.11/site-packages/bentoml/__init__.py" in found
    assert not [name for name in found if name.endswith(".pyc")]


async def test_other_code_shares_every_layer_but_its_own(yard: Yard, home: Remote) -> None:
    one, other = await build(yard, "fox:v1"), await build(yard, "hen:v1")
    first, second = await layers(home, one), await layers(home, other)
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]


async def test_layers_that_are_gone_from_the_registry_are_made_anew(
    yard: Yard, home: Remote, shelves: Pool
) -> None:
    """It is not asked for each; it refuses the manifest."""
    one = await build(yard, "fox:v1")
    first = await layers(home, one)
    assert one.image_digest is not None
    await shelves.execute("DELETE FROM oci_manifest WHERE repository = $1", NAME)
    await shelves.execute("DELETE FROM oci_blob WHERE repository = $1", NAME)

    other = await build(yard, "hen:v1")

    assert other.status == "built", yard.log(other.id)
    assert (await layers(home, other))[:-1] == first[:-1]
    assert "is there no more" in yard.log(other.id)


async def test_a_model_is_a_layer_that_bentos_share(yard: Yard, home: Remote) -> None:
    digest = await yard.push_model("weights:m1")
    model = PinnedModel(repository="weights", version="m1", digest=digest)
    for tag in ("fox:v1", "hen:v1"):
        await yard.push(tag, image=IMAGE, models=["weights:m1"])
    one, other = await again(yard, "fox:v1"), await again(yard, "hen:v1")
    assert (await layers(home, one))[:-1] == (await layers(home, other))[:-1]
    found = await members(home, one)
    below = f"{BENTO}/models/{model.repository}".lstrip("/")
    assert {f"{below}/m1/weights", f"{below}/m1/model.yaml", f"{below}/latest"} <= found.keys()


async def test_two_platforms_are_one_index(yard: Yard, home: Remote) -> None:
    built = await build(yard, "fox:v1", Wish(platforms=("linux/arm64", "linux/amd64")))
    assert built.status == "built", built.reason
    index = await document(home, built.image_digest)
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    for each in index["manifests"]:
        config = (await document(home, each["digest"]))["config"]
        said = json.loads(await content(home, config))
        assert said["architecture"] == each["platform"]["architecture"]


@pytest.mark.usefixtures("home")
async def test_the_default_command_is_left_out_and_said(yard: Yard) -> None:
    built = await build(yard, "fox:v1", commands=sorted(DEFAULT_COMMANDS))
    assert built.strategy == "assemble"
    assert len([each for each in built.why if each.startswith("left out")]) == 4


@pytest.mark.parametrize(
    ("image", "wish", "code", "words"),
    [
        (
            {"python_version": "3.12", "base_image": REFERENCE},
            Wish(),
            "python-version-absent",
            "it has: 3.11.9",
        ),
        (
            {"commands": ["pip list"]},
            Wish(Strategy.ASSEMBLE),
            "strategy-impossible",
            "it runs a command: pip list",
        ),
        ({"base_image": "Not An Image"}, Wish(), "base-image-invalid", "Not An Image"),
        ({}, Wish(platforms=("linux/riscv64",)), "base-image-absent", "base-images import"),
    ],
)
@pytest.mark.usefixtures("home")
async def test_what_cannot_be_is_refused_in_words(
    yard: Yard, image: dict[str, Any], wish: Wish, *, code: str, words: str
) -> None:
    built = await build(yard, "fox:v1", wish, **image)
    assert (built.status, built.code) == ("failed", code), built.reason
    assert words in str(built.reason)


async def test_base_images_come_from_other_registries_and_images_go_there(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    with registry_of("docker-registry", tmp_path / "other") as url:
        host = url.removeprefix("http://")
        naming = Naming(registry=f"{host}/team")
        async with building(pool, shelves, tmp_path, plain_http=[host], naming=naming) as yard:
            await yard.shop.bases.bring(WHO, REFERENCE, little_image(tmp_path / "base"))
            built = await build(yard, "fox:v1")
            assert built.uri == f"oci://{host}/team/{NAME}:yatai.fox.v1@{built.image_digest}"
            assert (await again(yard, "fox:v1")).reused
            reference = f"{host}/team/{NAME}:yatai.fox.v1"
            onto = await build(yard, "hen:v1", base_image=reference)
            assert (onto.status, onto.code) == ("built", None), onto.reason
            pinned = (await yard.shop.bases.all(ORG))[0]
            assert (pinned.reference, pinned.source) == (reference, "pull")


async def test_a_base_image_without_bash_is_not_assembled_on(yard: Yard, tmp_path: Path) -> None:
    """Clients' default commands, which are left out, would have installed it."""
    files = {name: text for name, text in PYTHON_FILES.items() if name != "bin/bash"}
    await yard.shop.bases.bring(WHO, REFERENCE, little_image(tmp_path / "base", files=files))
    built = await build(yard, "fox:v1", commands=sorted(DEFAULT_COMMANDS)[:1])
    assert (built.status, built.code) == ("failed", "strategy-unavailable"), "there is no buildah"
    assert "has no bash, which starts every bento" in str(built.reason)
    forced = await again(yard, "fox:v1", Wish(Strategy.ASSEMBLE))
    assert (forced.status, forced.code) == ("failed", "strategy-impossible")


@pytest.mark.usefixtures("home")
async def test_a_bento_that_nothing_starts_is_refused(yard: Yard) -> None:
    await yard.push("fox:v1", image=IMAGE, files={"env/docker/entrypoint.sh": None})
    built = await again(yard, "fox:v1")
    assert (built.status, built.code) == ("failed", "archive-invalid")


async def test_a_base_image_without_what_is_needed_says_so(yard: Yard, tmp_path: Path) -> None:
    files = {name: text for name, text in PYTHON_FILES.items() if "dpkg" not in name}
    layout = little_image(tmp_path / "base", files=files)
    await yard.shop.bases.bring(WHO, REFERENCE, layout)
    built = await build(yard, "fox:v1")
    assert (built.status, built.code) == ("failed", "platform-not-supported")


async def test_registries_that_the_settings_do_not_name_are_asked_nothing(
    pool: Pool, shelves: Pool, tmp_path: Path
) -> None:
    async with building(pool, shelves, tmp_path, allowed=["ghcr.io"]) as yard:
        built = await build(yard, "fox:v1", base_image="127.0.0.1:1/base:v1")
        assert (built.status, built.code) == ("failed", "base-image-absent")
        assert "the settings allow ghcr.io alone" in str(built.reason)
