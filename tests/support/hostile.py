"""Parts of tar archives as no program would write them, byte for byte."""

import tarfile
from typing import Final

BLOCK: Final = 512
ENDED: Final = bytes(2 * BLOCK)


def entry(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, target: str = ""
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + _padded(content)


def extended(kind: bytes, content: bytes, *, size: int | None = None) -> bytes:
    """A header for the next entry; ``size`` is what it says, whatever follows."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + _padded(content)


def record(key: str, value: str, *, length: int | None = None) -> bytes:
    rest = f" {key}={value}\n".encode()
    size = len(rest) + 1
    while len(str(size)) + len(rest) != size:
        size += 1
    return str(size if length is None else length).encode() + rest


def pax(records: dict[str, str], *, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return extended(kind, b"".join(record(*each) for each in records.items()))


def longname(name: str, kind: bytes = tarfile.GNUTYPE_LONGNAME) -> bytes:
    return extended(kind, name.encode() + b"\0")


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def _with_size(field: bytes) -> bytes:
    """An entry whose size is written so, its checksum right."""
    header = bytearray(entry("a"))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


_LINK: Final = entry("x", kind=tarfile.SYMTYPE, target=".")
_FILE: Final = entry("a", b"evil")
HOSTILE: Final[dict[str, bytes]] = {
    "up": entry("../../evil", b"x"),
    "up-inside": entry("a/../../evil", b"x"),
    "absolute": entry("/tmp/evil", b"x"),
    "absolute-by-pax": pax({"path": "/tmp/evil"}) + _FILE,
    "up-by-pax": pax({"path": "../evil"}) + _FILE,
    "up-by-gnu": longname("../evil") + _FILE,
    "nul-by-pax": pax({"path": "a\0b"}) + _FILE,
    "nul-in-a-link": pax({"linkpath": "a\0b"}) + entry("a", kind=tarfile.SYMTYPE, target="b"),
    "link-out": entry("x", kind=tarfile.SYMTYPE, target="/etc"),
    "link-up": entry("x", kind=tarfile.SYMTYPE, target="../.."),
    "link-out-by-gnu": longname("../../etc", tarfile.GNUTYPE_LONGLINK)
    + entry("x", kind=tarfile.SYMTYPE, target="y"),
    "hard-link-out": entry("x", kind=tarfile.LNKTYPE, target="../../etc/passwd"),
    "hard-link-absolute": entry("x", kind=tarfile.LNKTYPE, target="/etc/passwd"),
    "through-a-link": _LINK + entry("x/evil", b"x"),
    "over-a-link": _LINK + entry("x", b"x"),
    "link-through-a-link": _LINK + entry("x/y", kind=tarfile.SYMTYPE, target="../.."),
    "over-a-hard-link": entry("h", kind=tarfile.LNKTYPE, target="bento.yaml") + entry("h", b"x"),
    "character-device": entry("x", kind=tarfile.CHRTYPE),
    "block-device": entry("x", kind=tarfile.BLKTYPE),
    "pipe": entry("x", kind=tarfile.FIFOTYPE),
    "contiguous": entry("x", kind=tarfile.CONTTYPE),
    "unknown-kind": entry("x", kind=b"Z"),
    "sparse": entry("x", kind=tarfile.GNUTYPE_SPARSE),
    "sparse-by-pax": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}) + _FILE,
    "sparse-size-by-pax": pax({"GNU.sparse.realsize": str(2**60)}) + _FILE,
    "size-negative": _with_size(b"\xff" * 11 + b"\x00"),
    "size-enormous": _with_size(b"\x80" + b"\x7f" * 11),
    "size-negative-by-pax": pax({"size": "-512"}) + _FILE,
    "size-enormous-by-pax": pax({"size": "9" * 30}) + _FILE,
    "size-of-many-digits": pax({"size": "9" * 20_000}) + _FILE,
    "size-no-number": pax({"size": "0x10"}) + _FILE,
    "size-twice": pax({"size": "4"}) + pax({"size": "512"}) + _FILE,
    "digits-that-a-pattern-tries-from-each": pax({"comment": "9" * 20_000}) + _FILE,
    "pax-longer-than-it-is": extended(tarfile.XHDTYPE, record("path", "a", length=9_999)),
    "pax-of-length-zero": extended(tarfile.XHDTYPE, record("path", "a", length=0)),
    "pax-of-length-negative": extended(tarfile.XHDTYPE, record("path", "a", length=-7)),
    "pax-of-a-length-of-many-digits": extended(tarfile.XHDTYPE, b"9" * 20_000 + b" path=a\n"),
    "pax-of-eight-gigabytes": extended(tarfile.XHDTYPE, b"", size=8 * 2**30 - 1),
    "pax-beyond-any-disk": extended(tarfile.XHDTYPE, b"", size=2**62),
    "pax-for-all": pax({"path": "evil"}, kind=tarfile.XGLTYPE) + _FILE,
    "pax-without-end": pax({"comment": "x"}) * 2_000 + _FILE,
    "pax-for-all-without-end": pax({"comment": "x"}, kind=tarfile.XGLTYPE) * 2_000 + _FILE,
    "long-name-of-a-long-name": longname("a") * 2_000 + _FILE,
    "long-names-in-turns": (longname("a") + longname("b", tarfile.GNUTYPE_LONGLINK)) * 9 + _FILE,
    "long-name-of-a-gigabyte": extended(tarfile.GNUTYPE_LONGNAME, b"", size=2**30),
    "two-names": longname("../evil") + pax({"path": "good"}) + _FILE,
    "a-path-that-nobody-opens": longname("a/" * 3_000) + _FILE,
    "checksum-wrong": entry("a").replace(b"ustar", b"uStar"),
}
"""What no archive of a version may hold, behind a description that is right."""
