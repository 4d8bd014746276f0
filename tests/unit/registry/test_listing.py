"""What lies in an archive, from its headers alone: the same as a reader of the whole finds."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.blobs import CHUNK
from services.registry.archive import LIMIT, ArchiveWalk, Entry, Listing, pack, unpack
from services.registry.errors import ArchiveRefusedError

_PART = st.text("abcäß😀 -_.", min_size=1, max_size=120).filter(lambda part: part.strip("."))
_PATHS = st.lists(_PART, min_size=1, max_size=4).map("/".join)
_FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
_CONTENTS = st.one_of(st.binary(max_size=2000), st.sampled_from(["folder", "link", "hard"]))
_TREES = st.lists(st.tuples(_PATHS, _CONTENTS), max_size=8)
_NAMES = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link"}


def packed(tree: list[tuple[str, bytes | str]], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """``tree``: contents of files by path, or what else is there."""
    out = io.BytesIO()
    last = "nowhere"
    with tarfile.open(fileobj=out, mode="w", format=kind, errors="surrogateescape") as tar:
        for path, content in tree:
            info = tarfile.TarInfo(f"./{path}")
            info.mode = 0o640
            match content:
                case bytes():
                    info.size, last = len(content), f"./{path}"
                case "folder":
                    info.type = tarfile.DIRTYPE
                case "link":
                    info.type, info.linkname = tarfile.SYMTYPE, "target"
                case _:
                    info.type, info.linkname = tarfile.LNKTYPE, last
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def listed(archive: bytes) -> tuple[list[Entry], int]:
    """With the number of bytes that had to be read."""
    listing, read = Listing(), 0
    while listing.wanted is not None:
        first, length = listing.wanted
        read += length
        listing.feed(archive[first : first + length])
    return listing.entries, read


def unpacked(archive: bytes) -> dict[str, tuple[str, int, bytes]]:
    """Kind, mode and content of each as the standard library has it, the later of two."""
    found: dict[str, tuple[str, int, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        for each in tar:
            path = each.name.removeprefix("./")
            if each.islnk():
                linked = found.get(each.linkname.removeprefix("./"))
                is_file = linked is not None and linked[0] == "file"
                found[path] = linked if linked and is_file else ("link", each.mode, b"")
                continue
            reader = tar.extractfile(each) if each.isreg() else None
            found[path] = _NAMES[each.type], each.mode, reader.read() if reader else b""
    return found


@given(_TREES, _FORMATS)
def test_a_listing_is_what_the_standard_library_reads(
    tree: list[tuple[str, bytes | str]], kind: int
) -> None:
    archive = packed(tree, kind)
    entries, _ = listed(archive)
    assert [each.path for each in entries] == sorted({each.path for each in entries})
    seen = {
        each.path: (each.kind, each.mode, archive[each.offset : each.offset + each.size_bytes])
        for each in entries
    }
    assert seen == unpacked(archive)
    assert unpack(pack(entries)) == entries


@given(_TREES, st.integers(1, 40))
def test_pieces_that_hold_many_headers_say_the_same(
    tree: list[tuple[str, bytes | str]], blocks: int
) -> None:
    archive = packed(tree)
    listing, piece = Listing(), blocks * 512
    while listing.wanted is not None:
        first, length = listing.wanted
        at = first // piece * piece
        listing.take(at, archive[at : -(-(first + length) // piece) * piece])
    assert listing.entries == listed(archive)[0]


def test_of_two_files_at_one_path_the_later_is_there() -> None:
    """So unpacking has it: what is shown is what runs."""
    archive = packed([("a", b"harmless"), ("a", b"runs")])
    [entry], _ = listed(archive)
    assert archive[entry.offset : entry.offset + entry.size_bytes] == b"runs"


def test_a_hard_link_is_the_file_it_names() -> None:
    """Python's own tarfile writes them for files that share an inode."""
    entries, _ = listed(packed([("weights", b"w" * 700), ("x/same", "hard")]))
    assert entries[1] == entries[0]._replace(path="x/same")
    assert (entries[1].kind, entries[1].size_bytes) == ("file", 700)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_that_is_no_text_is_listed_in_percent(kind: int) -> None:
    entries, _ = listed(packed([("caf\udce9/é", b"x")], kind))
    assert [each.path for each in entries] == ["caf%E9/é"]
    assert unpack(pack(entries)) == entries


def test_contents_are_not_read() -> None:
    _, read = listed(packed([("big", bytes(10_000_000))]))
    assert read < 5_000


@given(st.binary(max_size=3000))
def test_whatever_is_no_archive_is_refused_and_never_crashes(content: bytes) -> None:
    with suppress(ArchiveRefusedError):
        listed(content)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "long/" * 60 + "../" * 61])
def test_what_leads_outside_is_refused(name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArchiveRefusedError, match="outside"):
        listed(out.getvalue())


def test_a_header_that_leads_backwards_is_refused() -> None:
    """Else the walk would never end."""
    info = tarfile.TarInfo("a")
    info.size = -512
    with pytest.raises(ArchiveRefusedError, match="negative"):
        listed(info.tobuf(tarfile.GNU_FORMAT))


def test_a_name_of_gigabytes_is_never_asked_for() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**40
    with pytest.raises(ArchiveRefusedError, match="larger"):
        listed(info.tobuf(tarfile.GNU_FORMAT))


def test_more_entries_than_anybody_looks_through_are_refused() -> None:
    """Also when all have one path: it is the work that is bounded."""
    block = tarfile.TarInfo("a").tobuf()
    with pytest.raises(ArchiveRefusedError, match=f"more than {LIMIT} entries"):
        Listing().take(0, block * (LIMIT + 1))


def test_an_archive_of_ten_million_entries_is_refused_when_it_is_received() -> None:
    """Long before it is whole: after the first million."""
    walk = ArchiveWalk("bento.yaml")
    walk._entries = 999_990
    block = tarfile.TarInfo("a").tobuf()
    with pytest.raises(ArchiveRefusedError, match="more than 1000000 entries"):
        walk.feed(block * (CHUNK // 512))
