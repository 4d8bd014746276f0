"""The file that versions are carried in: whatever happens to it on the way is noticed."""

import io
import tarfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.carry.format import Item, Reader, beginning_of, verify, write_blob
from cli.carry.progress import Lines
from cli.carry.sources import Broken, FileSource
from cli.carry.writing import write
from cli.errors import CommandError
from tests.support.oci import digest_of

CONTENTS = {"v1": b"one" * 700, "v2": b"two" * 9, "again": b"one" * 700}


def item(version: str, content: bytes) -> Item:
    return Item(
        kind="model",
        name="iris",
        repository_description="",
        version=version,
        description="",
        manifest={"module": "m"},
        labels={"a": "b"},
        build_at="2026-11-20T00:00:00Z",
        aliases=["live"],
        digest=digest_of(content),
        size_bytes=len(content),
    )


def exported(path: Path) -> list[Item]:
    items = [item(version, content) for version, content in CONTENTS.items()]
    write(path, items, lambda each: nullcontext(io.BytesIO(CONTENTS[each.version])), shown=Lines())
    return items


def carried(path: Path, kinds: tuple[str, ...] = ("model", "bento"), match: str = "*") -> list[str]:
    """Tags, or what is wrong with them."""
    source = FileSource(path, kinds=kinds, match=match)
    found = [each.why if isinstance(each, Broken) else each[0].tag for each in source.items()]
    assert source.count() == len(found)
    return found


def test_what_was_written_is_read_and_shared_bytes_are_there_once(tmp_path: Path) -> None:
    items = exported(tmp_path / "file")
    assert verify(tmp_path / "file") == items
    with Reader(tmp_path / "file") as reader:
        assert len(list(reader.blobs())) == 2


def test_other_bytes_than_were_promised_are_not_written(tmp_path: Path) -> None:
    with (
        tarfile.open(tmp_path / "file", "w") as tar,
        pytest.raises(CommandError, match="other bytes"),
    ):
        write_blob(tar, item("v1", b"abc"), io.BytesIO(b"abd"))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_byte_of_content_or_index_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    items = exported(path)
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        members = [each for each in tar.getmembers() if each.name != "index.json"]
    member = data.draw(st.sampled_from(members))
    at = member.offset_data + data.draw(st.integers(0, member.size - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(CommandError):
        verify(path)
    assert len(items) == 3


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    exported(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    end = content.rstrip(b"\0")
    (tmp_path / "file").write_bytes(content[: int(len(end) * share)])
    with pytest.raises(CommandError):
        verify(tmp_path / "file")


def test_a_member_that_nobody_named_is_refused(tmp_path: Path) -> None:
    exported(tmp_path / "file")
    with tarfile.open(tmp_path / "file", "a") as tar:
        info = tarfile.TarInfo("../../etc/passwd")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(CommandError, match="does not name"):
        verify(tmp_path / "file")


def test_a_later_format_is_said_to_be_one(tmp_path: Path) -> None:
    content = b'{"format": 2, "items": []}'
    with tarfile.open(tmp_path / "file", "w") as tar:
        info = tarfile.TarInfo("index.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(CommandError, match="format 2"):
        verify(tmp_path / "file")


def test_what_lives_on_a_hub_is_described_and_has_no_bytes(tmp_path: Path) -> None:
    hub = {"metadata": {"registry": "huggingface"}}
    elsewhere = replace(item("hub", b""), manifest=hub, digest="", size_bytes=0)
    items = [elsewhere, item("v1", CONTENTS["v1"])]
    write(tmp_path / "file", items, lambda _: nullcontext(io.BytesIO(b"one" * 700)), shown=Lines())
    assert verify(tmp_path / "file") == items
    assert carried(tmp_path / "file") == ["model iris:hub", "model iris:v1"]


def test_what_has_no_digest_and_lives_nowhere_else_is_refused(tmp_path: Path) -> None:
    lost = replace(item("lost", b""), digest="")
    with tarfile.open(tmp_path / "file", "w") as tar:
        content = beginning_of([lost])
        tar.addfile(tarfile.TarInfo.frombuf(content[:512], "utf-8", ""), io.BytesIO(content[512:]))
    with pytest.raises(CommandError, match="cut off"):
        verify(tmp_path / "file")


def test_a_part_of_a_file_is_taken_out_of_it(tmp_path: Path) -> None:
    contents = {"iris": b"one", "score": b"two", "irises": b"one"}
    items = [replace(item("v1", content), name=name) for name, content in contents.items()]
    items[2] = replace(items[2], kind="bento")
    path = tmp_path / "file"
    write(path, items, lambda each: nullcontext(io.BytesIO(contents[each.name])), shown=Lines())
    assert carried(path, match="iris*") == ["model iris:v1", "bento irises:v1"]
    assert carried(path, kinds=("bento",)) == ["bento irises:v1"]
    assert carried(path, match="nothing") == []


def test_one_damaged_archive_keeps_no_other_back(tmp_path: Path) -> None:
    exported(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(content.replace(b"oneone", b"onetwo", 1))
    damaged = "its bytes in the file are damaged"
    assert carried(tmp_path / "file") == [damaged, damaged, "model iris:v2"]
