"""The archive walk: whatever the pieces are cut into, good archives pass and bad ones say why."""

import io
import tarfile

import pytest

from services.registry.archive import ArchiveWalk
from services.registry.errors import ArchiveRefusedError


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


DESCRIPTION = file("./bento.yaml", b"name: iris\n")


def walk(archive: bytes, *, piece: int = 4096) -> bytes:
    walked = ArchiveWalk("bento.yaml")
    for at in range(0, len(archive), piece):
        walked.feed(archive[at : at + piece])
    return walked.finish()


@pytest.mark.parametrize("piece", [1, 7, 512, 1 << 20])
def test_the_description_is_found_however_the_bytes_arrive(piece: int) -> None:
    archive = packed(file("./src/" + "long/" * 60 + "a.py", b"y" * 5000), DESCRIPTION)

    assert walk(archive, piece=piece) == b"name: iris\n"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        pytest.param([file("./readme")], "no bento.yaml", id="no-description"),
        pytest.param([DESCRIPTION, file("../evil")], "outside", id="dots"),
        pytest.param([DESCRIPTION, file("/etc/passwd")], "outside", id="absolute"),
        pytest.param([DESCRIPTION, file("a/../../evil")], "outside", id="dots-inside"),
        pytest.param([DESCRIPTION, file("x/" * 80 + "../" * 90 + "e")], "outside", id="pax-dots"),
        pytest.param([DESCRIPTION, link("l", "../evil")], "outside", id="symlink"),
        pytest.param([DESCRIPTION, link("l", "/evil")], "outside", id="absolute-symlink"),
        pytest.param([DESCRIPTION, link("l", "../e", tarfile.LNKTYPE)], "outside", id="hardlink"),
        pytest.param([DESCRIPTION, link("p", "", tarfile.FIFOTYPE)], "neither", id="fifo"),
        pytest.param([DESCRIPTION, link("p", "", tarfile.CHRTYPE)], "neither", id="device"),
        pytest.param(
            [DESCRIPTION, link("x", "."), link("x/y/z", "../..")], "through", id="link-in-link"
        ),
        pytest.param([DESCRIPTION, link("x", "a"), file("./x/b")], "through", id="below-a-link"),
        pytest.param(
            [DESCRIPTION, link("x", "bento.yaml"), file("./x", b"name: evil\n")],
            "through",
            id="over-a-link-to-the-description",
        ),
        pytest.param(
            [DESCRIPTION, link("x", "bento.yaml", tarfile.LNKTYPE), file("x", b"name: evil\n")],
            "over a hard link",
            id="over-a-hard-link-to-the-description",
        ),
        pytest.param(
            [file("a"), DESCRIPTION, link("x", "./a", tarfile.LNKTYPE), file("a", b"evil")],
            "over a hard link",
            id="over-what-a-hard-link-shares",
        ),
        pytest.param([DESCRIPTION, link("l", "x/y/../..")], "down and up", id="up-after-a-name"),
        pytest.param([link("./bento.yaml", "src/a.yaml")], "no bento.yaml", id="linked"),
        pytest.param(
            [DESCRIPTION, link(".//bento.yaml", "src/a.yaml")], "no bento.yaml", id="replaced"
        ),
    ],
)
def test_bad_archives_are_refused_with_their_reason(
    members: list[tuple[tarfile.TarInfo, bytes]], why: str
) -> None:
    with pytest.raises(ArchiveRefusedError, match=why):
        walk(packed(*members))


@pytest.mark.parametrize("kept", [100, 600, 1500])
def test_a_cut_off_archive_is_refused(kept: int) -> None:
    with pytest.raises(ArchiveRefusedError, match="truncated"):
        walk(packed(DESCRIPTION, file("b", b"z" * 3000))[:kept])


def test_links_inside_pass() -> None:
    hard = link("x", "src/a", tarfile.LNKTYPE)
    assert walk(packed(DESCRIPTION, link("a/b/l", "../../c"), file("src/a"), hard, hard))


def test_noise_is_no_archive() -> None:
    with pytest.raises(ArchiveRefusedError, match="no tar"):
        walk(b"noise" * 1000)


def longname(name: str) -> bytes:
    """GNU's header for the next entry."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, len(name) + 1
    return header.tobuf(tarfile.GNU_FORMAT) + name.encode().ljust(512, b"\0")


def named(
    inner: tarfile.TarInfo, records: dict[str, str], *, kind: bytes = tarfile.XHDTYPE
) -> bytes:
    """``inner`` behind an extended header of exactly these records."""
    if kind == tarfile.XGLTYPE:
        return tarfile.TarInfo.create_pax_global_header(records) + inner.tobuf()
    inner.pax_headers = records
    return inner.create_pax_header(inner.get_info(), "utf-8")


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        pytest.param(
            named(tarfile.TarInfo("a"), {"path": "../evil"}, kind=tarfile.XGLTYPE),
            "global",
            id="path-for-all",
        ),
        pytest.param(
            named(tarfile.TarInfo("a"), {"GNU.sparse.name": "../evil"}), "sparse", id="sparse-name"
        ),
        pytest.param(
            longname("../evil") + named(tarfile.TarInfo("a"), {"path": "good"}),
            "two extended",
            id="two-names",
        ),
        pytest.param(longname("../evil") + tarfile.TarInfo("a").tobuf(), "outside", id="long-name"),
    ],
)
def test_names_that_programs_read_differently_are_refused(entries: bytes, why: str) -> None:
    with pytest.raises(ArchiveRefusedError, match=why):
        walk(entries + packed(DESCRIPTION))


def test_a_global_header_that_names_nothing_passes() -> None:
    """``git archive`` writes its commit into one."""
    comment = tarfile.TarInfo.create_pax_global_header({"comment": "0a1b2c"})

    assert walk(comment + packed(DESCRIPTION))
