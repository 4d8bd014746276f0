"""Walk a tar as its bytes arrive: bounded, pure, and never trusting what a header says."""

import re
import tarfile
from collections.abc import Collection
from itertools import dropwhile
from typing import Final

from services.registry.errors import ArchiveRefusedError

BLOCK: Final = 512
NAME_BYTES: Final = 64 * 1024
_DIGITS: Final = 20
"""Of a number in an extended header, and what follows it."""
_LONG_NUMBER: Final = re.compile(rb"[0-9]{100}")
"""Python's tarfile looks for the end of a number from each of its digits: seconds per header."""
_DESCRIPTION_BYTES: Final = 8 * 2**20
_BESIDE_BYTES: Final = 2**20
_ENTRIES: Final = 1_000_000
_LINKED: Final = 100_000
_LINKED_BYTES: Final = 16 * 2**20
"""All names of links together: they are what is held of an archive."""
_PATH_BYTES: Final = 4096
"""No system opens a longer one."""
_BEFORE_ONE: Final = 16
"""Extended headers in a row: programs call themselves for each, and nobody needs three."""
_SPARSE: Final = b"GNU.sparse."
"""Records that give an entry another name and size for those who know them."""
_EXTENDED: Final = b"xgLK"
_FILES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
_LINKS: Final = (tarfile.SYMTYPE, tarfile.LNKTYPE)
_GZIP: Final = b"\x1f\x8b"


class ArchiveWalk:
    """Feed every byte, then ``finish``. ``description`` is the content of ``wanted``.

    Holds one header, one long name, the description, what is kept beside it and the names of
    links in memory, whatever the archive's size.
    """

    def __init__(self, wanted: str, *, beside: Collection[str] = ()) -> None:
        self._wanted = wanted
        self._beside = frozenset(beside)
        self._held = bytearray()
        self._keep = 0
        self._skip = 0
        self._kind = b""
        self._entries = 0
        self._extending = 0
        self._ended = False
        self._names: dict[str, str] = {}
        self._links: set[str] = set()
        self._shared: set[str] = set()
        self._place = ""
        self._linked_bytes = 0
        self.description: bytes | None = None
        self.beside: dict[str, bytes] = {}
        """Contents of those files that were asked for, are there, and not too large."""

    def feed(self, chunk: bytes | memoryview) -> None:
        """Raises ``ArchiveRefusedError`` at the first entry that cannot be accepted."""
        view = memoryview(chunk)
        while view and not self._ended:
            if self._skip and not self._keep:
                jump = min(self._skip, len(view))
                self._skip -= jump
                view = view[jump:]
                continue
            need = (self._keep or BLOCK) - len(self._held)
            self._held += view[:need]
            view = view[need:]
            if len(self._held) == (self._keep or BLOCK):
                block, kept = bytes(self._held), self._keep
                self._held.clear()
                self._keep = 0
                if kept:
                    self._content(block)
                else:
                    self._header(block)

    def finish(self) -> bytes:
        """The description; raises when the archive was cut off or has none."""
        if not self._ended or self._held or self._skip:
            raise ArchiveRefusedError("the archive is truncated: it has no end")
        if self.description is None:
            raise ArchiveRefusedError(f"the archive has no {self._wanted} at its root")
        return self.description

    def _header(self, block: bytes) -> None:
        if not block.strip(b"\0"):
            if self._extending:
                raise ArchiveRefusedError("its last header is of an entry that never comes")
            self._ended = True
            return
        entry = header_in(block)
        self._entries += 1
        if self._entries > _ENTRIES:
            raise ArchiveRefusedError(f"more than {_ENTRIES} entries")
        if entry.type in _EXTENDED:
            self._extending += 1
            if self._extending > _BEFORE_ONE:
                raise ArchiveRefusedError("an entry has more extended headers than anybody needs")
            self._take(entry, limit=NAME_BYTES)
            return
        self._extending = 0
        self._entry(entry)

    def _entry(self, entry: tarfile.TarInfo) -> None:
        name = self._names.pop("path", entry.name)
        target = self._names.pop("linkpath", entry.linkname)
        size = int(self._names.pop("size", str(entry.size)))
        self._names.clear()
        if max(len(name), len(target)) > _PATH_BYTES:
            raise ArchiveRefusedError(f"{name[:200]!r} has a path of more than {_PATH_BYTES} bytes")
        parts = check(name, entry.type, target)
        self._never_through_a_link(parts, entry.type, name)
        self._place = "/".join(parts)
        self._link(self._place, entry.type, target)
        is_file = entry.type in _FILES[:2]
        entry.size = size if is_file else 0
        self._kind = entry.type
        if self._place == self._wanted:
            self.description = b"" if is_file else None
            self._take(entry, limit=_DESCRIPTION_BYTES)
        elif self._place in self._beside and is_file and entry.size <= _BESIDE_BYTES:
            self._take(entry, limit=_BESIDE_BYTES)
        else:
            self._skip = padded(entry.size)

    def _never_through_a_link(self, parts: list[str], kind: bytes, name: str) -> None:
        """Where a link's own place is not what its name says, nor is where it leads.

        What is written over a link changes another file with some programs, and not with others.
        """
        if self._links and any(
            "/".join(parts[: depth + 1]) in self._links for depth in range(len(parts))
        ):
            raise ArchiveRefusedError(f"{name[:200]!r} is written through a symbolic link")
        if kind in _FILES and "/".join(parts) in self._shared:
            raise ArchiveRefusedError(f"{name[:200]!r} is written over a hard link")

    def _link(self, place: str, kind: bytes, target: str) -> None:
        if kind not in _LINKS:
            return
        self._linked_bytes += len(place)
        if kind == tarfile.SYMTYPE:
            self._links.add(place)
        else:
            self._linked_bytes += len(target)
            self._shared |= {place, "/".join(_inside(target, target))}
        if self._linked_bytes > _LINKED_BYTES:
            raise ArchiveRefusedError(
                f"the names of its links have more than {_LINKED_BYTES} bytes"
            )
        if len(self._links) + len(self._shared) > _LINKED:
            raise ArchiveRefusedError(f"more than {_LINKED} links")

    def _take(self, entry: tarfile.TarInfo, *, limit: int) -> None:
        if entry.size > limit:
            raise ArchiveRefusedError(f"{entry.name[:80]!r} is larger than {limit} bytes")
        self._kind = entry.type
        self._keep = entry.size
        self._skip = padded(entry.size) - entry.size

    def _announce(self, names: dict[str, str]) -> None:
        """For the next entry. Of two answers, programs choose differently: there may be one."""
        if names.keys() & self._names.keys():
            raise ArchiveRefusedError("an entry has two extended names or sizes")
        self._names |= names

    def _content(self, content: bytes) -> None:
        if self._kind in _EXTENDED:
            self._announce(names_in(self._kind, content))
        elif self._place == self._wanted:
            self.description = content
        else:
            self.beside[self._place] = content


def header_in(block: bytes) -> tarfile.TarInfo:
    """Of one entry, as far as its own block says."""
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if block.startswith(_GZIP):
            old = "the archive is compressed, as by clients before 1.0.22: push with a later one"
            raise ArchiveRefusedError(old) from error
        raise ArchiveRefusedError(f"this is no tar archive: {error}") from error
    if entry.size < 0:
        raise ArchiveRefusedError("an entry has a negative size")
    return entry


def names_in(kind: bytes, content: bytes) -> dict[str, str]:
    """What an extended header says of the next entry: its path, link path, size."""
    match kind:
        case b"x":
            return _pax(content)
        case b"L":
            return {"path": _text(content)}
        case b"K":
            return {"linkpath": _text(content)}
        case _:
            if _pax(content):
                raise ArchiveRefusedError("a global header names or sizes every entry")
            return {}


def check(name: str, kind: bytes, target: str) -> list[str]:
    """An entry must be a file, folder or link, and stay below the root. Its path, in parts."""
    if kind not in _FILES and kind not in _LINKS:
        raise ArchiveRefusedError(f"{name[:200]!r} is neither file, folder nor link")
    parts = _inside(name, name)
    if kind == tarfile.SYMTYPE:
        _inside("/".join([*parts[:-1], target]) if not target.startswith("/") else target, name)
        if ".." in _named(target):
            # After a name that is a link itself, ".." is not where the text says.
            raise ArchiveRefusedError(f"{name[:200]!r} leads down and up again")
    if kind == tarfile.LNKTYPE:
        _inside(target, name)
    return parts


def _named(target: str) -> list[str]:
    """What follows the leading dots of a link's target."""
    return list(dropwhile(lambda part: part in {"", ".", ".."}, target.split("/")))


def _inside(path: str, name: str) -> list[str]:
    kept: list[str] = []
    if path.startswith("/") or "\0" in path:
        raise ArchiveRefusedError(f"{name[:200]!r} leads outside the archive")
    for part in path.split("/"):
        if part == ".." and not kept:
            raise ArchiveRefusedError(f"{name[:200]!r} leads outside the archive")
        if part == "..":
            kept.pop()
        elif part not in {"", "."}:
            kept.append(part)
    return kept


def _pax(content: bytes) -> dict[str, str]:
    if _LONG_NUMBER.search(content):
        raise ArchiveRefusedError("an extended header has a number that nobody needs")
    found: dict[str, str] = {}
    at, end = 0, len(content.rstrip(b"\0"))
    while at < end:
        digits, _, _ = content[at : at + _DIGITS].partition(b" ")
        if not digits.isdigit() or not len(digits) < int(digits) <= len(content) - at:
            raise ArchiveRefusedError("an extended header is malformed")
        record = content[at + len(digits) + 1 : at + int(digits) - 1]
        key, _, value = record.partition(b"=")
        if key.startswith(_SPARSE):
            raise ArchiveRefusedError("sparse files are not understood")
        if key in {b"path", b"linkpath"}:
            found[key.decode()] = value.decode(errors="surrogateescape")
        if key == b"size":
            if not value.isdigit() or len(value) > len(str(2**62)):
                raise ArchiveRefusedError("an extended header has a malformed size")
            found["size"] = value.decode()
        at += int(digits)
    return found


def _text(content: bytes) -> str:
    return content.rstrip(b"\0").decode(errors="surrogateescape")


def padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
