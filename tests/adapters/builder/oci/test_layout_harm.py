"""Images from files that somebody made to do harm, or that broke."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.builder.errors import BuildFailedError
from services.builder.oci import open_layout
from tests.support.docker_archives import LAYER, config_of, saved, tar_of
from tests.support.oci_layout import write_layout

Files = dict[str, bytes | str]
Harm = Callable[[Files], None]


def without(name: str) -> Harm:
    def harm(files: Files) -> None:
        del files[name]

    return harm


def having(**more: bytes | str) -> Harm:
    return lambda files: files.update({key.replace("__", "."): more[key] for key in more})


def entry(**changed: Any) -> Harm:
    return lambda files: files.update(saved(**changed))


HARM = [
    pytest.param(without("c.json"), "there is no 'c.json'", id="no configuration"),
    pytest.param(without("one/layer.tar"), "there is no 'two/layer.tar'|no 'one", id="layer"),
    pytest.param(without("manifest.json"), "neither", id="something else"),
    pytest.param(having(manifest__json=b"{"), "no JSON", id="broken"),
    pytest.param(having(manifest__json=b"[" * 100_000), "no JSON", id="deep"),
    pytest.param(having(manifest__json=b"[3]"), "no list of images", id="numbers"),
    pytest.param(having(manifest__json=b"[]"), "no image", id="empty"),
    pytest.param(having(manifest__json=b" " * (4 * 2**20 + 1)), "more than", id="large"),
    pytest.param(entry(Config="../../etc/passwd"), "there is no", id="outside"),
    pytest.param(entry(Config="/etc/passwd"), "there is no", id="absolute"),
    pytest.param(entry(Config=3), "no text", id="number"),
    pytest.param(entry(Layers=["one/layer.tar"]), "other layers", id="fewer layers"),
    pytest.param(having(c__json=b"[]"), "no object", id="configuration"),
    pytest.param(having(c__json=b'{"rootfs": 3}'), "no list", id="no layers"),
    pytest.param(having(**{"../x": b""}), "holds '../x'", id="entry outside"),
    pytest.param(having(**{"/x": b""}), "holds '/x'", id="absolute entry"),
    pytest.param(having(**{"./c.json": b""}), "twice", id="twice"),
    pytest.param(having(**{"c.json": "/etc/passwd"}), "leads outside", id="absolute link"),
    pytest.param(having(**{"c.json": "../etc/passwd"}), "leads outside", id="link outside"),
    pytest.param(having(**{"c.json": "c.json"}), "there is no", id="link to itself"),
    pytest.param(having(**{"c.json": config_of(LAYER, LAYER, os="a b")}), "no os", id="platform"),
]
IN_TARS_ALONE = {"entry outside", "absolute entry", "twice"}


@pytest.mark.parametrize(("harm", "words"), HARM)
async def test_harm_is_refused(harm: Harm, words: str, tmp_path: Path) -> None:
    files = saved()
    harm(files)
    file = tmp_path / "saved.tar"
    file.write_bytes(tar_of(files))

    with pytest.raises(BuildFailedError, match=words) as refused:
        async with open_layout(file):
            pass
    assert refused.value.code == "image-invalid"


@pytest.mark.parametrize(("harm", "words"), [each for each in HARM if each.id not in IN_TARS_ALONE])
async def test_harm_is_refused_in_a_folder(harm: Harm, words: str, tmp_path: Path) -> None:
    files = saved()
    harm(files)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if content == "../one/layer.tar":
            path.write_bytes(LAYER)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)

    with pytest.raises(BuildFailedError, match=f"{words}|there is no 'c.json'") as refused:
        async with open_layout(tmp_path):
            pass
    assert refused.value.code == "image-invalid"


@pytest.mark.parametrize("what", ["cut", "sparse", "pipe", "huge header", "noise", "huge size"])
async def test_tars_that_lie_are_refused(what: str, tmp_path: Path) -> None:
    content = tar_of(saved())
    info = tarfile.TarInfo("x")
    if what == "cut":
        content = content[: len(content) // 2]
    elif what == "noise":
        content = bytes(range(256)) * 100
    elif what == "sparse":
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        info.pax_headers |= {"GNU.sparse.name": "x", "GNU.sparse.realsize": str(2**50)}
        info.size = 4 * 2**20
        numbers = b"999999999\n" + b"1\n" * (2**21)
        content = info.tobuf(tarfile.PAX_FORMAT) + numbers[: info.size] + bytes(2**20)
    elif what == "pipe":
        info.type = tarfile.FIFOTYPE
        content = info.tobuf() + content
    elif what == "huge header":
        info.type, info.size = b"x", 2**40
        content = info.tobuf(tarfile.GNU_FORMAT) + content
    else:
        info.size = 2**50
        content = info.tobuf(tarfile.GNU_FORMAT) + content
    file = tmp_path / "x.tar"
    file.write_bytes(content)

    words = "headers of more than" if what == "sparse" else None
    with pytest.raises(BuildFailedError, match=words) as refused:
        async with open_layout(file):
            pass
    assert refused.value.code == "image-invalid"


async def test_links_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    write_layout(tmp_path / "real", payload=b"x")
    folder = tmp_path / "layout"
    folder.mkdir()
    for each in ("oci-layout", "index.json"):
        (folder / each).write_bytes((tmp_path / "real" / each).read_bytes())
    (folder / "blobs").symlink_to(tmp_path / "real" / "blobs")

    with pytest.raises(BuildFailedError, match="there is no"):
        async with open_layout(folder):
            pass
