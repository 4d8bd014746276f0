"""An export that was interrupted goes on; the file is the one that it would have been."""

import fcntl
import io
import resource
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

import pytest
from typing_extensions import override

from cli.carry.format import Item, beginning_of, header_of, verify
from cli.carry.progress import Lines
from cli.carry.writing import write
from cli.errors import CommandError
from tests.support.oci import digest_of

SIZES: Final = {"empty": 0, "block": 512, "odd": 5_000, "large": 3 * 2**20 + 1, "last": 7}
CONTENTS: Final = {name: name.encode() * (size // len(name)) for name, size in SIZES.items()}
BROKEN: Final = CommandError("the platform does not answer")


def item(name: str) -> Item:
    content = CONTENTS[name]
    return Item(
        kind="bento",
        name=name,
        repository_description="",
        version="v1",
        description="",
        manifest={},
        labels={},
        build_at="2026-11-20T00:00:00Z",
        aliases=[],
        digest=digest_of(content),
        size_bytes=len(content),
    )


ITEMS: Final = [*map(item, CONTENTS), replace(item("odd"), version="v2")]


@dataclass
class Platform:
    """Answers with archives; breaks off before ``fails``, and remembers what was asked for."""

    fails: str = ""
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def fetch(self, item: Item) -> Iterator[IO[bytes]]:
        self.asked.append(item.name)
        if item.name == self.fails:
            raise BROKEN
        yield io.BytesIO(CONTENTS[item.name])


class Heard(Lines):
    def __init__(self) -> None:
        self.said: list[str] = []

    @override
    def say(self, text: str) -> None:
        self.said.append(text)


def exported(output: Path, items: list[Item] | None = None) -> tuple[list[str], list[str]]:
    """Names that were fetched, and what was said."""
    platform, heard = Platform(), Heard()
    write(output, items or ITEMS, platform.fetch, shown=heard)
    return platform.asked, heard.said


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    exported(tmp_path / "uninterrupted")
    return (tmp_path / "uninterrupted").read_bytes()


def ends() -> dict[str, int]:
    """Where each archive of the file ends."""
    at = len(beginning_of(ITEMS))
    found = {}
    for name, content in CONTENTS.items():
        at += len(header_of(item(name))) + -(-len(content) // 512) * 512
        found[name] = at
    return found


def test_the_file_is_a_tar_that_others_read(tmp_path: Path, whole: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        names = tar.getnames()
        assert names[0] == "index.json"
        assert [tar.getmember(each).size for each in names[1:]] == [
            len(content) for content in CONTENTS.values()
        ]
    assert len(whole) % tarfile.RECORDSIZE == 0
    assert verify(tmp_path / "uninterrupted") == ITEMS


@pytest.mark.parametrize(
    ("after", "more", "fetched"),
    [
        ("large", 0, ["last"]),
        ("large", -1, ["large", "last"]),
        ("large", 100, ["last"]),
        ("large", 512, ["last"]),
        ("large", 513, ["last"]),
        ("odd", 2**20, ["large", "last"]),
        ("odd", 0, ["large", "last"]),
        ("odd", -200, ["odd", "large", "last"]),
        ("block", 0, ["odd", "large", "last"]),
        ("empty", 0, ["block", "odd", "large", "last"]),
        ("empty", -1, list(CONTENTS)),
        ("last", 0, []),
        ("last", 1024, []),
    ],
)
def test_what_is_whole_is_kept_and_what_is_half_is_fetched(
    tmp_path: Path, whole: bytes, after: str, more: int, fetched: list[str]
) -> None:
    (tmp_path / "file.part").write_bytes(whole[: ends()[after] + more])
    asked, said = exported(tmp_path / "file")
    assert asked == fetched
    assert said == [f"{tmp_path}/file.part has {5 - len(fetched)} of 5 archives: it goes on there"]
    assert (tmp_path / "file").read_bytes() == whole
    assert not (tmp_path / "file.part").exists()


@pytest.mark.parametrize("size", [0, 5, 511, 512, 700])
def test_less_than_an_index_is_begun_anew(tmp_path: Path, whole: bytes, size: int) -> None:
    (tmp_path / "file.part").write_bytes(whole[:size])
    assert exported(tmp_path / "file") == (list(CONTENTS), [])
    assert (tmp_path / "file").read_bytes() == whole


@pytest.mark.parametrize("place", ["header", "content", "padding"])
def test_what_was_damaged_meanwhile_is_fetched_again(
    tmp_path: Path, whole: bytes, place: str
) -> None:
    at = {"header": -5_632, "content": -5_100, "padding": -1}[place] + ends()["odd"]
    damaged = bytearray(whole)
    damaged[at] ^= 1
    (tmp_path / "file.part").write_bytes(damaged)
    assert exported(tmp_path / "file")[0] == ["odd", "large", "last"]
    assert (tmp_path / "file").read_bytes() == whole


@pytest.mark.parametrize(
    "items",
    [ITEMS[:-1], ITEMS[::-1], [*ITEMS[:-1], replace(ITEMS[-1], labels={"stage": "prod"})]],
)
def test_another_list_begins_anew_and_says_so(
    tmp_path: Path, whole: bytes, items: list[Item]
) -> None:
    (tmp_path / "file.part").write_bytes(whole)
    asked, said = exported(tmp_path / "file", items)
    assert (len(asked), len(said)) == (5, 1)
    assert "begun anew" in said[0]
    assert verify(tmp_path / "file") == items


def test_a_broken_connection_leaves_what_is_whole(tmp_path: Path, whole: bytes) -> None:
    heard = Heard()
    with pytest.raises(CommandError, match="does not answer"):
        write(tmp_path / "file", ITEMS, Platform(fails="large").fetch, shown=heard)
    assert heard.said == [f"{tmp_path}/file.part stays: the same command goes on there"]
    assert not (tmp_path / "file").exists()
    assert exported(tmp_path / "file")[0] == ["large", "last"]
    assert (tmp_path / "file").read_bytes() == whole


def test_a_full_disk_leaves_what_is_whole(tmp_path: Path, whole: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(CommandError, match="could not be written") as refused:
            exported(tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "make room" in refused.value.cure
    assert exported(tmp_path / "file")[0] == ["large", "last"]
    assert (tmp_path / "file").read_bytes() == whole


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"half a film")
    with pytest.raises(CommandError, match="no export that was begun"):
        exported(tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == b"half a film"


def test_two_do_not_write_the_same_file(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "file.part").write_bytes(whole[:-1])
    with (tmp_path / "file.part").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another export writes"):
            exported(tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == whole[:-1]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(CommandError, match="exists"):
        exported(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"mine"
