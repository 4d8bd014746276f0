"""Looking into a version: its files, one of them, and what another version has otherwise."""

import hashlib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from libs.chassis.blobs import CHUNK, Blob
from libs.chassis.postgres import Database
from services.registry.archive import Entry, Listing
from services.registry.difference import FileChanges, file_changes
from services.registry.errors import FileNotInArchiveError
from services.registry.service.integrity import Integrity
from services.registry.service.tx import Tx

_HASHED: Final = 2**30
"""So much is read to tell whether files of one size are the same."""
_TEXT: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Page:
    """``more``: there are others behind these."""

    items: Sequence[Entry]
    more: bool


class Inside:
    def __init__(self, database: Database[Tx], integrity: Integrity) -> None:
        self._database = database
        self._integrity = integrity

    async def files(self, blob: Blob, *, prefix: str, after: str, count: int) -> Page:
        """By path; a prefix is a folder, or nothing."""
        below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        entries = await self._entries(blob)
        found = [each for each in entries if each.path.startswith(below) and each.path > after]
        return Page(found[:count], len(found) > count)

    async def file(self, blob: Blob, path: str) -> Entry:
        for each in await self._entries(blob):
            if each.path == path and each.kind == "file":
                return each
        raise FileNotInArchiveError(f"there is no file '{path[:200]}'")

    async def text(self, blob: Blob, path: str) -> str | None:
        """None where there is no such file, or no text of reasonable size."""
        try:
            entry = await self.file(blob, path)
        except FileNotInArchiveError:
            return None
        if entry.size_bytes > _TEXT:
            return None
        content = bytearray()
        async with aclosing(
            self._integrity.read(blob, first=entry.offset, length=entry.size_bytes)
        ) as chunks:
            async for chunk in chunks:
                content += chunk
        return content.decode(errors="replace")

    async def compare(self, one: Blob, other: Blob) -> FileChanges:
        """From ``one`` to ``other``; what would have to be read too long is unknown."""
        before = {each.path: each for each in await self._entries(one) if each.kind == "file"}
        after = {each.path: each for each in await self._entries(other) if each.kind == "file"}
        same_size = [
            path
            for path in sorted(before.keys() & after.keys())
            if before[path].size_bytes == after[path].size_bytes
        ]
        equal: dict[str, bool] = {}
        left = _HASHED
        for path in same_size:
            left -= before[path].size_bytes
            if left < 0:
                break
            first = await self._digest(one, before[path])
            equal[path] = first == await self._digest(other, after[path])
        return file_changes(before, after, equal=equal)

    async def _digest(self, blob: Blob, entry: Entry) -> bytes:
        sha = hashlib.sha256()
        if entry.size_bytes:
            async with aclosing(
                self._integrity.read(blob, first=entry.offset, length=entry.size_bytes)
            ) as chunks:
                async for chunk in chunks:
                    sha.update(chunk)
        return sha.digest()

    async def _entries(self, blob: Blob) -> list[Entry]:
        async with self._database.read() as tx:
            known = await tx.listings.one(blob.digest)
        if known is not None:
            return known
        entries = sorted(await self._walked(blob), key=lambda entry: entry.path)
        async with self._database.transaction() as tx:
            await tx.listings.put(blob.digest, entries)
        return entries

    async def _walked(self, blob: Blob) -> list[Entry]:
        """Reads a chunk once for all headers in it, and none that has only content."""
        listing, at, chunk = Listing(), -1, b""
        while listing.wanted is not None:
            first, length = listing.wanted
            content = bytearray()
            while len(content) < length and first + len(content) < blob.size_bytes:
                place = first + len(content)
                if place // CHUNK != at:
                    at = place // CHUNK
                    chunk = await self._chunk(blob, at)
                inside = place - at * CHUNK
                content += chunk[inside : inside + length - len(content)]
            listing.feed(bytes(content))
        return listing.entries

    async def _chunk(self, blob: Blob, index: int) -> bytes:
        content = bytearray()
        async with aclosing(
            self._integrity.read(blob, first=index * CHUNK, length=CHUNK)
        ) as chunks:
            async for chunk in chunks:
                content += chunk
        return bytes(content)
