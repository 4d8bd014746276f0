"""Images of bentos that are large, for another processor, or from an index that is not public."""

import hashlib
import json
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imager import Imager
from tests.support.little_image import little_image
from tests.support.platform import running
from tests.support.private_index import private_index
from tests.support.pulled import Pulled
from tests.support.twenty import SAUCE, Bench, sauce

pytestmark = [pytest.mark.timeout(1800), pytest.mark.soak]

_X86_64, _AARCH64 = 62, 183
_LARGE = 500 * 2**20


def test_half_a_gigabyte_of_weights_is_a_layer_that_answers(bench: Bench) -> None:
    client = bench.client("1.4")
    first = bench.imager.built(bench.packed(client, bench.source("large")))
    [weights] = client.home.glob("models/large/*/weights")
    with weights.open("rb") as file:
        wanted = {"size": _LARGE, "digest": hashlib.file_digest(file, "sha256").hexdigest()}
    with bench.imager.rootfs(first).serving() as running:
        assert running.answers("predict", {}) == wanted
    layers = {each["digest"]: each["size"] for each in bench.imager.pull(first).layers}
    [large] = [digest for digest, size in layers.items() if size > _LARGE]
    assert layers[large] < _LARGE + 2**20

    (bench.source("large") / "train.py").unlink()
    other = bench.source("large") / "service.py"
    other.write_text(f"{other.read_text()}\n# changed\n")
    second = bench.imager.built(bench.packed(client, bench.source("large")))
    assert second["image_digest"] != first["image_digest"]
    assert large in {each["digest"] for each in bench.imager.pull(second).layers}


def test_each_platform_of_an_index_has_programs_for_its_processor(
    bench: Bench, tmp_path: Path
) -> None:
    bench.imager.bring(little_image(tmp_path / "base"), "little/python:3.11")
    folder = bench.source("streaming")
    asked = folder / "bentofile.yaml"
    asked.write_text(f"{asked.read_text()}docker:\n  base_image: little/python:3.11\n")
    tag = bench.packed(bench.client("1.4"), folder)
    build = bench.imager.built(tag, platforms=["linux/amd64", "linux/arm64"])
    for architecture, machine in (("amd64", _X86_64), ("arm64", _AARCH64)):
        pulled = bench.imager.pull(build, architecture=architecture)
        assert pulled.config["architecture"] == architecture
        found = list(machines(pulled))
        assert len(found) > 5
        assert set(found) == {machine}


def machines(pulled: Pulled) -> Iterator[int]:
    """Of every compiled file above the base image: for which processor it is."""
    for layer in pulled.layers[1:]:
        with (
            pulled.blob(layer["digest"]) as stream,
            tarfile.open(fileobj=stream, mode="r|*") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                head = content.read(20) if content is not None else b""
                if head.startswith(b"\x7fELF"):
                    yield struct.unpack_from("<H", head, 18)[0]


def test_packages_come_from_an_index_that_asks_who_is_there(tmp_path: Path) -> None:
    """Everything comes from there: bentoml itself, and what no other index has."""
    shelf = tmp_path / "shelf"
    sauce(shelf)
    with private_index(shelf, "bentoml==1.4.39", user="cook", password="s3cret/@") as index:
        told = {"YOKOCHO_BUILDER_INDEX_URL": index.address, "UV_CACHE_DIR": str(tmp_path / "cache")}
        with running(tmp_path / "home", env=told) as platform:
            imager = Imager(platform, tmp_path / "images")
            imager.folder.mkdir()
            imager.bring_debian()
            (tmp_path / "clients").mkdir()
            bench = Bench(imager, tmp_path / "clients")
            build = imager.built(bench.packed(bench.client("1.4"), bench.source("private")))
            assert build["strategy"] == "assemble"
            assert "house_sauce" in str(index.taken)
            with imager.rootfs(build).serving() as answering:
                assert answering.answers("predict", {}) == SAUCE
            for said in (imager.log(build), json.dumps(build), json.dumps(platform.events())):
                assert "s3cret" not in said
