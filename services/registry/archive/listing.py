"""Which files an archive has, and where in it: from its headers alone."""

import re
import stat
import tarfile
import zlib
from collections.abc import Sequence
from posixpath import normpath
from typing import Final, NamedTuple

from pydantic_core import from_json, to_json

from services.registry.archive.walk import BLOCK, NAME_BYTES, check, header_in, names_in, padded
from services.registry.errors import ArchiveRefusedError

LIMIT: Final = 100_000
"""Entries that are listed; an archive may have more, but nobody looks into it then."""
_KINDS: Final = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "link",
}
_EXTENDED: Final = b"xgLK"
_UNDECODED: Final = re.compile("[\udc80-\udcff]")


class Entry(NamedTuple):
    """``offset`` is where its content begins; ``path`` has no leading ``./``.

    A tuple: a hundred thousand are made of JSON in a fifth of the time.
    """

    path: str
    kind: str
    size_bytes: int
    mode: int
    target: str
    offset: int


class Listing:
    """Asks for the next bytes it needs: ``wanted`` says which; ``feed`` takes exactly those.

    None is wanted at the end. So whoever has the archive skips the contents. It finds what is
    there after unpacking: of two entries at one path the later, and a hard link is its file.
    """

    def __init__(self) -> None:
        self.wanted: tuple[int, int] | None = (0, BLOCK)
        self._seen = 0
        self._found: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._extended: tuple[bytes, int] | None = None

    @property
    def entries(self) -> list[Entry]:
        """By path."""
        return sorted(self._found.values(), key=lambda entry: entry.path)

    def take(self, at: int, content: bytes) -> None:
        """``content`` begins at ``at``; what is wanted lies in it, and what follows may."""
        is_in = True
        while self.wanted is not None and is_in:
            first, length = self.wanted[0] - at, self.wanted[1]
            self.feed(content[first : first + length])
            is_in = self._reaches() <= at + len(content)

    def feed(self, content: bytes) -> None:
        """Raises ``ArchiveRefusedError``, which no archive that was received does."""
        if self.wanted is None or len(content) != self.wanted[1]:
            raise ArchiveRefusedError("the archive is truncated: it has no end")
        at = self.wanted[0]
        if self._extended is not None:
            kind, after = self._extended
            self._extended = None
            self._names |= names_in(kind, content)
            self.wanted = (after, BLOCK)
            return
        if not content.strip(b"\0"):
            self.wanted = None
            return
        self._header(content, at + BLOCK)

    def _reaches(self) -> int:
        return sum(self.wanted) if self.wanted else 0

    def _header(self, block: bytes, content_at: int) -> None:
        header = header_in(block)
        if header.type in _EXTENDED:
            if header.size > NAME_BYTES:
                raise ArchiveRefusedError(f"a name is larger than {NAME_BYTES} bytes")
            self._extended = (header.type, content_at + padded(header.size))
            self.wanted = (content_at, header.size)
            return
        name = self._names.pop("path", header.name)
        target = self._names.pop("linkpath", header.linkname)
        size = int(self._names.pop("size", str(header.size)))
        self._names.clear()
        path = _readable("/".join(check(name, header.type, target)))
        kind = _KINDS[header.type]
        size = size if kind == "file" else 0
        mode = stat.S_IMODE(header.mode)
        self._add(
            Entry(path, kind, size, mode, _readable(target), content_at),
            is_hard=header.type == tarfile.LNKTYPE,
        )
        self.wanted = (content_at + padded(size), BLOCK)

    def _add(self, entry: Entry, *, is_hard: bool) -> None:
        self._seen += 1
        if self._seen > LIMIT:
            raise ArchiveRefusedError(f"more than {LIMIT} entries: download it to look inside")
        linked = self._found.get(normpath(entry.target)) if is_hard else None
        if linked is not None and linked.kind == "file":
            entry = linked._replace(path=entry.path)
        if entry.path:
            self._found[entry.path] = entry


def pack(entries: Sequence[Entry]) -> bytes:
    """A hundred thousand become a megabyte."""
    return zlib.compress(to_json(entries))


def unpack(packed: bytes) -> list[Entry]:
    return [Entry._make(each) for each in from_json(zlib.decompress(packed))]


def _readable(name: str) -> str:
    """Bytes that are no UTF-8 in percent, as a URL has them: neither JSON nor a path takes them."""
    return _UNDECODED.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", name)
