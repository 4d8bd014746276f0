"""Whatever an archive's bytes are, the walk refuses them, or everybody reads the same in them."""

import io
import tarfile
from posixpath import normpath

from hypothesis import given, settings
from hypothesis import strategies as st

from services.registry.archive import ArchiveWalk, Listing
from services.registry.archive.listing import _readable
from services.registry.errors import ArchiveRefusedError
from tests.support.hostile import ENDED, HOSTILE, entry, longname, pax

DESCRIPTION = entry("bento.yaml", b"name: iris\n")
HARMLESS = {
    "file": entry("a", b"content"),
    "another": entry("./a//b", b"x" * 600),
    "folder": entry("c/", kind=tarfile.DIRTYPE),
    "link": entry("l", kind=tarfile.SYMTYPE, target="a"),
    "hard-link": entry("h", kind=tarfile.LNKTYPE, target="bento.yaml"),
    "long-name": longname("n" * 200) + entry("n", b"x"),
    "pax-name": pax({"path": "ü/" * 40 + "x", "mtime": "1.5"}) + entry("n", b"x"),
    "pax-size": pax({"size": "512"}) + entry("s") + entry("hidden"),
    "comment": pax({"comment": "x"}, kind=tarfile.XGLTYPE),
}
ALL = HARMLESS | HOSTILE
_CHANGES = st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 255)), max_size=3)


def walked(content: bytes) -> bool:
    walk = ArchiveWalk("bento.yaml")
    try:
        walk.feed(content)
        walk.finish()
    except ArchiveRefusedError:
        return False
    return True


def listed(content: bytes) -> set[str]:
    listing = Listing()
    while listing.wanted is not None:
        at, size = listing.wanted
        listing.feed(content[at : at + size])
    return {each.path for each in listing.entries}


@settings(max_examples=400, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(list(HARMLESS)), st.sampled_from(list(ALL))), max_size=5),
    _CHANGES,
)
def test_what_is_accepted_is_read_alike(parts: list[str], changes: list[tuple[int, int]]) -> None:
    content = bytearray(b"".join([DESCRIPTION, *(ALL[each] for each in parts), ENDED]))
    for at, to in changes:
        content[at % len(content)] = to
    if walked(bytes(content)):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            names = {normpath(each) for each in tar.getnames()} - {"."}
        assert {_readable(each) for each in names} == listed(bytes(content))
