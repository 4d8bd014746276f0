"""Images from files: as OCI, Docker and skopeo write them, pushed from where they lie."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.contracts.mediatypes import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST
from services.builder.errors import BuildFailedError
from services.builder.oci import AnonymousAccess, Image, Layout, Platform, Remote, open_layout
from tests.adapters.builder.oci.conftest import at
from tests.support.docker_archives import LAYER, PAYLOAD, config_of, saved, tar_of
from tests.support.oci import IMAGE, INDEX, described, digest_of
from tests.support.oci_layout import write_layout

AMD = Platform("linux", "amd64")
needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not on PATH")


async def content_of(layout: Layout, image: Image) -> list[bytes]:
    return [
        b"".join([piece async for piece in layout.blob(each)])
        for each in (image.config, *image.layers)
    ]


def files_of(folder: Path) -> dict[str, bytes | str]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@pytest.fixture(params=["folder", "tar", "open file"])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, bytes]]:
    manifest = write_layout(tmp_path / "layout", payload=PAYLOAD)
    if request.param == "folder":
        yield tmp_path / "layout", manifest
        return
    file = tmp_path / "layout.tar"
    file.write_bytes(tar_of(files_of(tmp_path / "layout")))
    if request.param == "tar":
        yield file, manifest
        return
    with file.open("rb") as opened:
        yield opened, manifest


async def test_an_oci_layout_is_read_as_it_is(exported: tuple[Any, bytes]) -> None:
    source, manifest = exported
    async with open_layout(source) as layout:
        [image] = layout.images

        assert (image.manifest, image.platform, image.names) == (manifest, AMD, ("v1",))
        _, layer = await content_of(layout, image)
        assert gzip.decompress(layer) == LAYER


async def test_an_image_is_pushed_from_where_it_lies(
    exported: tuple[Any, bytes], remote: Remote, name: str
) -> None:
    source, manifest = exported
    async with open_layout(source) as layout:
        [image] = layout.images
        for _ in range(2):
            digest = await layout.push(image, remote, repository=name, reference="v1")
            assert digest == digest_of(manifest)

    assert (await remote.manifest(name, "v1"))[1] == manifest


@pytest.mark.parametrize("packed", [False, True])
async def test_a_docker_archive_gets_a_manifest(
    tmp_path: Path, remote: Remote, name: str, *, packed: bool
) -> None:
    file = tmp_path / "saved.tar"
    layer = gzip.compress(LAYER, mtime=0) if packed else LAYER
    file.write_bytes(tar_of(saved(layer=layer)))

    async with open_layout(file) as layout:
        [image] = layout.images
        assert (image.names, image.platform) == (("python:3.11",), AMD)
        assert image.config.media_type == OCI_CONFIG
        kind = OCI_LAYER_GZIP if packed else OCI_LAYER
        assert [each.media_type for each in image.layers] == [kind] * 2
        assert await content_of(layout, image) == [config_of(LAYER, LAYER), layer, layer]
        digest = await layout.push(image, remote, repository=name, reference="v1")

    described, content = await remote.manifest(name, "v1")
    assert described.digest == digest == digest_of(content)
    assert described.media_type == OCI_MANIFEST


async def test_an_archive_with_both_forms_is_read_as_oci(tmp_path: Path) -> None:
    manifest = write_layout(tmp_path / "layout", payload=PAYLOAD)
    file = tmp_path / "saved.tar"
    file.write_bytes(tar_of({**files_of(tmp_path / "layout"), "manifest.json": b"[]"}))

    async with open_layout(file) as layout:
        assert [each.manifest for each in layout.images] == [manifest]


async def test_indexes_are_looked_into_and_what_was_not_exported_is_left_out(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "layout"
    manifest = write_layout(folder, payload=PAYLOAD)
    absent = described(b"other", IMAGE) | {"platform": {"os": "linux", "architecture": "arm64"}}
    attached = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": described(b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [],
        }
    ).encode()
    listed = [described(manifest, IMAGE), absent, described(attached, IMAGE)]
    inner = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    for each in (inner, attached):
        (folder / "blobs/sha256" / digest_of(each)[7:]).write_bytes(each)
    top = described(inner, INDEX) | {"annotations": {"io.containerd.image.name": "docker.io/a:b"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))

    async with open_layout(folder) as layout:
        [image] = layout.images

    assert (image.manifest, image.names) == (manifest, ("docker.io/a:b",))


async def test_a_layer_of_other_bytes_is_never_pushed(
    tmp_path: Path, remote: Remote, name: str
) -> None:
    file = tmp_path / "saved.tar"
    file.write_bytes(tar_of(saved(layer=LAYER[:-1] + b"x")))

    async with open_layout(file) as layout:
        with pytest.raises(BuildFailedError, match="other bytes") as failed:
            await layout.push(layout.images[0], remote, repository=name, reference="v1")

    assert failed.value.code == "image-invalid"
    assert await remote.find(name, "v1") is None


@needs_skopeo
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci"])
async def test_what_skopeo_writes_is_read(form: str, tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", payload=PAYLOAD)
    target = f"{form}:{tmp_path}/out:iris:v1"
    command = ["skopeo", "--insecure-policy", "copy", f"oci:{tmp_path}/layout:v1", target]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    async with open_layout(tmp_path / "out") as layout:
        [image] = layout.images
        _, layer = await content_of(layout, image)

    assert (gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer) == LAYER
    assert image.platform == AMD


@needs_skopeo
async def test_skopeo_reads_what_was_pushed(
    session: aiohttp.ClientSession, foreign: str, tmp_path: Path
) -> None:
    file = tmp_path / "saved.tar"
    file.write_bytes(tar_of(saved()))
    async with open_layout(file) as layout:
        remote = at(session, foreign, AnonymousAccess())
        await layout.push(layout.images[0], remote, repository="team/iris", reference="v1")

    host = foreign.removeprefix("http://")
    command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"]
    source, target = f"docker://{host}/team/iris:v1", f"dir:{tmp_path}/copied"
    subprocess.run([*command, source, target], check=True, capture_output=True, timeout=60)

    assert (tmp_path / "copied" / digest_of(LAYER)[7:]).read_bytes() == LAYER


@pytest.mark.skipif(shutil.which("crane") is None, reason="crane is not on PATH")
@pytest.mark.parametrize("form", ["tarball", "oci"])
async def test_crane_reads_what_was_pushed_and_what_it_writes_is_read(
    session: aiohttp.ClientSession, foreign: str, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "saved.tar"
    file.write_bytes(tar_of(saved(layer=gzip.compress(LAYER, mtime=0))))
    async with open_layout(file) as layout:
        remote = at(session, foreign, AnonymousAccess())
        [image] = layout.images
        await layout.push(image, remote, repository="team/iris", reference="v1")

    name = f"{foreign.removeprefix('http://')}/team/iris:v1"
    for command in (
        ["crane", "validate", "--insecure", "--remote", name],
        ["crane", "pull", "--insecure", "--format", form, name, str(tmp_path / "pulled")],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    async with open_layout(tmp_path / "pulled") as layout:
        [pulled] = layout.images
        assert await content_of(layout, pulled) == [
            config_of(LAYER, LAYER),
            *[gzip.compress(LAYER, mtime=0)] * 2,
        ]
