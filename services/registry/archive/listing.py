"""Which files an archive has, and where in it: from its headers alone."""

import stat
import tarfile
from dataclasses import dataclass
from typing import Final

from services.registry.archive.walk import check, names_in, padded
from services.registry.errors import ArchiveRefusedError

LIMIT: Final = 100_000
"""Entries that are listed; an archive may have more, but nobody looks into it then."""
BLOCK: Final = 512
_KINDS: Final = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "link",
}
_EXTENDED: Final = b"xgLK"


@dataclass(frozen=True, slots=True)
class Entry:
    """``offset`` is where its content begins; ``path`` has no leading ``./``."""

    path: str
    kind: str
    size_bytes: int
    mode: int
    target: str
    offset: int


class Listing:
    """Asks for the next bytes it needs: ``wanted`` says which; ``feed`` takes exactly those.

    None is wanted at the end. So whoever has the archive skips the contents.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.wanted: tuple[int, int] | None = (0, BLOCK)
        self._names: dict[str, str] = {}
        self._extended: tuple[bytes, int] | None = None

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

    def _header(self, block: bytes, content_at: int) -> None:
        try:
            entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ArchiveRefusedError(f"this is no tar archive: {error}") from error
        if entry.type in _EXTENDED:
            self._extended = (entry.type, content_at + padded(entry.size))
            self.wanted = (content_at, entry.size)
            return
        name = self._names.pop("path", entry.name)
        target = self._names.pop("linkpath", entry.linkname)
        size = int(self._names.pop("size", str(entry.size)))
        self._names.clear()
        parts = check(name, entry.type, target)
        kind = _KINDS[entry.type]
        size = size if kind == "file" else 0
        if parts:
            self._add(
                Entry("/".join(parts), kind, size, stat.S_IMODE(entry.mode), target, content_at)
            )
        self.wanted = (content_at + padded(size), BLOCK)

    def _add(self, entry: Entry) -> None:
        if len(self.entries) >= LIMIT:
            raise ArchiveRefusedError(f"more than {LIMIT} entries: download it to look inside")
        self.entries.append(entry)
