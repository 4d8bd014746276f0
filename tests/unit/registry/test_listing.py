"""What lies in an archive, from its headers alone: the same as a reader of the whole finds."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.archive import Entry, Listing
from services.registry.errors import ArchiveRefusedError

_PART = st.text("abcäß😀 -_.", min_size=1, max_size=120).filter(lambda part: part.strip("."))
_PATHS = st.lists(_PART, min_size=1, max_size=4).map("/".join)
_TREES = st.dictionaries(_PATHS, st.binary(max_size=2000), max_size=8)


def packed(files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(f"./{path}")
            info.size, info.mode = len(content), 0o640
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def listed(archive: bytes) -> tuple[list[Entry], int]:
    """With the number of bytes that had to be read."""
    listing, read = Listing(), 0
    while listing.wanted is not None:
        first, length = listing.wanted
        read += length
        listing.feed(archive[first : first + length])
    return listing.entries, read


@given(_TREES, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_a_listing_says_what_is_where(files: dict[str, bytes], kind: int) -> None:
    archive = packed(files, kind)
    entries, _ = listed(archive)
    assert [each.path for each in entries] == list(files)
    for each in entries:
        assert archive[each.offset : each.offset + each.size_bytes] == files[each.path]
        assert (each.kind, each.mode) == ("file", 0o640)


def test_contents_are_not_read() -> None:
    _, read = listed(packed({"big": bytes(10_000_000)}))
    assert read < 5_000


@given(st.binary(max_size=3000))
def test_whatever_is_no_archive_is_refused_and_never_crashes(content: bytes) -> None:
    with suppress(ArchiveRefusedError):
        listed(content)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b"])
def test_what_leads_outside_is_refused(name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArchiveRefusedError, match="outside"):
        listed(out.getvalue())
