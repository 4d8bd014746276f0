"""Archives that attack whoever unpacks them: nothing outside, within limits of time and memory."""

import tarfile
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from os.path import commonpath, realpath
from pathlib import Path
from typing import Final

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.builder.archive import unpack
from services.builder.errors import BuildFailedError
from tests.support.hostile import BLOCK, ENDED, HOSTILE, entry, extended, pax

FIRST: Final = entry("bento.yaml", b"name: iris\n")
HARMLESS: Final = {
    *("contiguous", "pax-for-all", "size-twice", "long-names-in-turns"),
    "digits-that-a-pattern-tries-from-each",
}
"""What the registry refuses as other programs read it otherwise; here it is plain files."""


def packed(folder: Path, parts: Iterable[bytes]) -> Path:
    file = folder / "archive.tar"
    with file.open("wb") as out:
        out.writelines(parts)
    return file


def outside(folder: Path) -> set[Path]:
    """Everything but the archive and what lies in the folder that is unpacked into."""
    return {
        each
        for each in folder.rglob("*")
        if each.name != "archive.tar" and folder / "into" not in {each, *each.parents}
    }


def leads_out(folder: Path) -> list[str]:
    """A link that leads in circles leads nowhere."""
    into = realpath(folder / "into")
    found = [realpath(each) for each in (folder / "into").rglob("*")]
    return [each for each in found if commonpath([each, into]) != into]


@pytest.mark.parametrize("trick", HOSTILE)
def test_what_attacks_is_refused_or_stays_inside(tmp_path: Path, trick: str) -> None:
    began, evil = time.monotonic(), Path("/tmp/evil").exists()
    file = packed(tmp_path, [FIRST, HOSTILE[trick], ENDED])

    try:
        unpack(file, tmp_path / "into")
        refused = ""
    except BuildFailedError as error:
        refused = error.code

    assert refused == ("" if trick in HARMLESS else "archive-invalid")
    assert outside(tmp_path) == set()
    assert leads_out(tmp_path) == []
    assert Path("/tmp/evil").exists() == evil
    assert (tmp_path / "into" / "bento.yaml").read_bytes() == b"name: iris\n"
    assert time.monotonic() - began < 10


def _lean() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.timeout(30)  # thousands of files
def test_nothing_is_held_of_what_was_unpacked(tmp_path: Path) -> None:
    """Each entry brings 30 KiB of which a program may think that it is to be remembered."""
    said = pax({"comment": "x" * 30_000}) + entry("a")
    file = packed(tmp_path, [FIRST, *[said] * 4_000, ENDED])
    before = _lean()
    unpack(file, tmp_path / "into")
    assert _lean() - before < 64 * 2**20


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_is_not_read_because_it_says_that_it_is_large(tmp_path: Path, kind: bytes) -> None:
    file = packed(tmp_path, [FIRST, extended(kind, b"", size=2**30)])
    with file.open("r+b") as out:
        out.truncate(2**31)  # the bytes are there, and cost the attacker nothing
    before = _lean()
    with pytest.raises(BuildFailedError):
        unpack(file, tmp_path / "into")
    assert _lean() - before < 64 * 2**20


@pytest.mark.parametrize(
    "clash",
    [
        pytest.param(entry("a") + entry("a/b"), id="below-a-file"),
        pytest.param(entry("a/b") + entry("a"), id="over-a-folder"),
        pytest.param(entry("n" * 99 + "\udc80"), id="no-text"),
        pytest.param(pax({"path": "n" * 300}) + entry("a"), id="name-too-long"),
        pytest.param(pax({"mtime": "1e300"}) + entry("a"), id="time-without-end"),
        pytest.param(pax({"mtime": "nan"}) + entry("a"), id="no-time"),
        pytest.param(entry("x", kind=tarfile.SYMTYPE, target="x"), id="link-to-itself"),
    ],
)
def test_what_no_disk_can_have_is_the_archives_fault_or_is_there(
    tmp_path: Path, clash: bytes
) -> None:
    file = packed(tmp_path, [FIRST, clash, ENDED])
    with suppress(BuildFailedError):
        unpack(file, tmp_path / "into")
    assert outside(tmp_path) == set()


@pytest.mark.parametrize("ended", [b"", bytes(BLOCK - 1), b"x" * BLOCK])
def test_half_an_archive_is_none(tmp_path: Path, ended: bytes) -> None:
    with pytest.raises(BuildFailedError):
        unpack(packed(tmp_path, [FIRST, entry("a"), ended]), tmp_path / "into")


_NAME = st.text("ab./", max_size=9)
_KIND = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
_PARTS = st.lists(
    st.one_of(st.sampled_from(list(HOSTILE)), st.tuples(_NAME, _KIND, _NAME)), max_size=6
)


def built(part: str | tuple[str, bytes, str]) -> bytes:
    """A trick by its name, or an entry."""
    if isinstance(part, str):
        return HOSTILE[part]
    name, kind, target = part
    return entry(name, b"x", kind=kind, target=target)


@pytest.mark.timeout(30)  # a hundred archives
@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(_PARTS, st.integers(0, 4_096), st.integers(0, 255))
def test_whatever_is_in_it_and_whatever_rots_nothing_leaves(
    tmp_path: Path, parts: list[str | tuple[str, bytes, str]], at: int, to: int
) -> None:
    content = bytearray(b"".join([FIRST, *map(built, parts), ENDED]))
    content[at % len(content)] = to
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    with suppress(BuildFailedError):
        unpack(packed(folder, [bytes(content)]), folder / "into")
    assert outside(folder) == set()
    assert leads_out(folder) == []


def test_a_file_of_two_names_has_both(tmp_path: Path) -> None:
    """As ``tarfile`` packs a folder in which a file was linked: the registry takes it."""
    linked = entry("a/y", kind=tarfile.LNKTYPE, target="a/x")
    file = packed(tmp_path, [FIRST, entry("a/x", b"content"), linked, ENDED])
    unpack(file, tmp_path / "into")

    assert (tmp_path / "into/a/y").read_bytes() == b"content"
    assert (tmp_path / "into/a/y").samefile(tmp_path / "into/a/x")


@pytest.mark.parametrize(
    "parts",
    [
        [entry("y", kind=tarfile.LNKTYPE, target="later"), entry("later", b"x")],
        [entry("y", kind=tarfile.LNKTYPE, target="y")],
        [
            entry("s", kind=tarfile.SYMTYPE, target="bento.yaml"),
            entry("y", kind=tarfile.LNKTYPE, target="s"),
        ],
        [entry("y", kind=tarfile.LNKTYPE, target="bento.yaml"), entry("bento.yaml", b"x")],
    ],
)
def test_a_second_name_of_nothing_or_of_a_link_is_refused(
    tmp_path: Path, parts: list[bytes]
) -> None:
    with pytest.raises(BuildFailedError):
        unpack(packed(tmp_path, [FIRST, *parts, ENDED]), tmp_path / "into")
