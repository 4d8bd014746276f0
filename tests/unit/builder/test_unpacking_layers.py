"""Layers are unpacked as a container sees them, and whatever is in them nothing leaves."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import TypeAlias

import pytest

from libs.contracts.mediatypes import OCI_LAYER_GZIP
from services.builder.errors import BuildFailedError
from services.builder.layers import unpack_layers

Entry: TypeAlias = tuple[str, bytes, str]
"""Name, type, and content or target."""
FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def layer(folder: Path, *entries: Entry) -> tuple[Path, str, str]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid = kind, 0o4755, 1034
            if kind == FILE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
            else:
                info.linkname = content
                tar.addfile(info)
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    file = folder / digest
    file.write_bytes(gzip.compress(packed.getvalue()))
    return file, OCI_LAYER_GZIP, f"sha256:{digest}"


def unpacked(folder: Path, *layers: tuple[Entry, ...]) -> Path:
    root = folder / "inner" / "root"
    unpack_layers([layer(folder, *each) for each in layers], root)
    return root


def tree(root: Path) -> set[str]:
    return {each.relative_to(root).as_posix() for each in root.rglob("*")}


def test_files_folders_and_links_are_as_they_were_packed(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        (
            ("./usr/bin/tool", FILE, "#!"),
            ("bin", LINK, "usr/bin"),
            ("/usr/bin/twin", HARD, "./usr/bin/tool"),
            ("dev/null", tarfile.CHRTYPE, ""),
        ),
        (("bin/other", FILE, "through a link"),),
    )

    assert (root / "usr/bin/other").read_text() == "through a link"
    assert (root / "bin").readlink() == Path("usr/bin")
    assert (root / "usr/bin/twin").stat().st_ino == (root / "usr/bin/tool").stat().st_ino
    assert (root / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755
    assert not (root / "dev/null").exists()


def test_what_is_white_in_a_layer_is_gone_but_not_what_it_brings(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        (("a/old", FILE, ""), ("b/old", FILE, ""), ("b/kept/old", FILE, ""), ("c", FILE, "")),
        (
            ("a/.wh.old", FILE, ""),
            ("b/kept/new", FILE, ""),
            ("b/.wh..wh..opq", FILE, ""),
            ("b/.wh..wh.plnk", FILE, ""),
            (".wh.c", FILE, ""),
            ("c", FILE, "again"),
            ("none/.wh.x", FILE, ""),
        ),
    )

    assert tree(root) == {"a", "b", "b/kept", "b/kept/new", "c"}


def test_a_link_gives_way_to_a_folder_and_a_folder_to_a_file(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        (("a", LINK, "/etc"), ("b/x", FILE, "")),
        (("a", FOLDER, ""), ("a/x", FILE, "mine"), ("b", FILE, "file")),
    )

    assert (root / "a/x").read_text() == "mine"
    assert (root / "b").read_text() == "file"


def test_files_to_put_the_machines_over_are_there(tmp_path: Path) -> None:
    root = unpacked(tmp_path, (("etc/passwd", FILE, "x"), ("etc/hosts", FILE, "its own")))

    assert (root / "etc/resolv.conf").read_text() == ""
    assert (root / "etc/hosts").read_text() == "its own"


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((("../out", FILE, "x"),), id="up"),
        pytest.param((("a/../../../out", FILE, "x"),), id="down and up"),
        pytest.param((("out", HARD, "../../canary"),), id="hard link up"),
        pytest.param((("l", LINK, "../../canary"), ("out", HARD, "l/x")), id="hard link through"),
        pytest.param((("out", HARD, "etc"), ("etc", FOLDER, "")), id="hard link to nothing"),
        pytest.param((("etc", FOLDER, ""), ("out", HARD, "etc")), id="hard link to a folder"),
        pytest.param((("a", LINK, "b"), ("b", LINK, "a"), ("a/x", FILE, "")), id="endless"),
        pytest.param((("a", FILE, ""), ("a/x", FILE, "")), id="below a file"),
        pytest.param(((".wh...", FILE, ""),), id="white parent"),
        pytest.param(((".wh..", FILE, ""),), id="white self"),
        pytest.param((("x" * 300, FILE, ""),), id="long name"),
    ],
)
def test_a_hostile_layer_is_refused(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    (tmp_path / "canary").write_text("alive")

    with pytest.raises(BuildFailedError) as refused:
        unpacked(tmp_path, entries)

    assert refused.value.code == "image-invalid"
    assert (tmp_path / "canary").read_text() == "alive"
    assert not list(tmp_path.rglob("out"))


@pytest.mark.parametrize(
    "target", ["{outside}", "../../../../../../../../../../../../../../{outside}", "/", ".."]
)
def test_links_that_lead_out_lead_to_the_folder_itself(tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("alive")
    leads = target.format(outside=str(outside))

    root = unpacked(
        tmp_path,
        (("l", LINK, leads), ("l/planted", FILE, "x"), ("l/precious", FILE, "y")),
        (("l/.wh.precious", FILE, ""), ("l/.wh..wh..opq", FILE, "")),
    )

    assert (outside / "precious").read_text() == "alive"
    assert list(outside.iterdir()) == [outside / "precious"]
    assert not (root / "l/precious").is_symlink()


def test_other_bytes_than_the_config_names_are_refused(tmp_path: Path) -> None:
    file, kind, _ = layer(tmp_path, ("a", FILE, "x"))

    with pytest.raises(BuildFailedError, match="and not sha256:0000"):
        unpack_layers([(file, kind, f"sha256:{'0' * 64}")], tmp_path / "root")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    file = tmp_path / "layer"
    file.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**16)))

    with pytest.raises(BuildFailedError, match="a header of"):
        unpack_layers([(file, OCI_LAYER_GZIP, "sha256:0")], tmp_path / "root")


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "layer"
    file.write_bytes(b"no gzip at all")

    with pytest.raises(BuildFailedError, match="a layer is no such"):
        unpack_layers([(file, OCI_LAYER_GZIP, "sha256:0")], tmp_path / "root")
    with pytest.raises(BuildFailedError, match="are not read"):
        unpack_layers([(file, "text/plain", "sha256:0")], tmp_path / "other")
