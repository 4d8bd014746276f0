"""Looking into a version: its files, one of them, and what another version has otherwise."""

import asyncio
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from operator import attrgetter
from posixpath import normpath
from typing import Final
from weakref import WeakValueDictionary

from libs.chassis.blobs import CHUNK, Blob
from libs.chassis.postgres import Database
from services.registry.archive import Entry, Listing, pack, unpack
from services.registry.difference import FileChanges, comparable, file_changes, steps_of
from services.registry.errors import FileNotInArchiveError
from services.registry.service.archives import LOCKS
from services.registry.service.integrity import Integrity
from services.registry.service.tx import Tx

_READ: Final = 2**30
"""So much of an archive is read to tell whether files of one size are the same."""
_TEXT: Final = 4 * 2**20
_PATH: Final = attrgetter("path")
"""Where a bento has what is to be installed, and first what its builder resolved."""
_PYTHON: Final = "env/python/version.txt"


class Inside:
    def __init__(self, database: Database[Tx], integrity: Integrity) -> None:
        self._database = database
        self._integrity = integrity
        self._walking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def files(self, blob: Blob, *, prefix: str, after: str, count: int) -> list[Entry]:
        """By path; a prefix is a folder, or nothing."""
        folder = normpath(prefix or ".").lstrip("/")
        below = f"{folder}/" if folder not in {"", "."} else ""
        entries = await self._entries(blob)
        found = [
            each
            for each in islice(entries, bisect_right(entries, after, key=_PATH), None)
            if each.path.startswith(below)
        ]
        return found[:count]

    async def file(self, blob: Blob, path: str) -> Entry:
        entries = await self._entries(blob)
        at = bisect_left(entries, path, key=_PATH)
        if at < len(entries) and entries[at].path == path and entries[at].kind == "file":
            return entries[at]
        raise FileNotInArchiveError(f"there is no file '{path[:200]}'")

    async def text(self, blob: Blob, path: str) -> str | None:
        """None where there is no such file, or no text of reasonable size."""
        try:
            entry = await self.file(blob, path)
        except FileNotInArchiveError:
            return None
        if entry.size_bytes > _TEXT:
            return None
        content = await self._bytes(blob, entry.offset, entry.size_bytes)
        return content.decode(errors="replace")

    async def requirements(self, blob: Blob) -> str:
        """Of bentos whose manifest has none."""
        for path in LOCKS:
            found = await self.text(blob, path)
            if found is not None:
                return found
        return ""

    async def python_version(self, blob: Blob) -> str | None:
        found = await self.text(blob, _PYTHON)
        return found.strip() or None if found else None

    async def compare(self, one: Blob, other: Blob) -> FileChanges:
        """From ``one`` to ``other``; what would have to be read too long is unknown."""
        before = {each.path: each for each in await self._entries(one) if each.kind == "file"}
        after = {each.path: each for each in await self._entries(other) if each.kind == "file"}
        if one.digest == other.digest:
            return file_changes(before, after, equal=dict.fromkeys(before, True))
        paths = await asyncio.to_thread(comparable, before, after, step=CHUNK, most=_READ // CHUNK)
        first = await self._digests(one, [before[path] for path in paths])
        second = await self._digests(other, [after[path] for path in paths])
        equal = {path: first[path] == second[path] for path in paths}
        return await asyncio.to_thread(file_changes, before, after, equal=equal)

    async def _digests(self, blob: Blob, entries: Sequence[Entry]) -> dict[str, bytes]:
        """Reads a chunk once, however many files are in it: nothing smaller can be checked."""
        hashes = {each.path: hashlib.sha256() for each in entries}
        within: dict[int, list[Entry]] = {}
        for each in entries:
            for index in steps_of(each, step=CHUNK):
                within.setdefault(index, []).append(each)
        for index in sorted(within):
            at = index * CHUNK
            chunk = memoryview(await self._bytes(blob, at, CHUNK))
            await asyncio.to_thread(_update, hashes, within[index], at=at, chunk=chunk)
        return {path: sha.digest() for path, sha in hashes.items()}

    async def _entries(self, blob: Blob) -> list[Entry]:
        """By path. In threads: of a hundred thousand, others would wait for seconds."""
        known = await self._known(blob)
        if known is not None:
            return known
        # Whoever else wants to see it meanwhile does not read all of it again.
        async with self._walking.setdefault(blob.digest, asyncio.Lock()):
            known = await self._known(blob)
            if known is not None:
                return known
            entries, packed = await asyncio.to_thread(_packed, await self._walked(blob))
            async with self._database.transaction() as tx:
                await tx.listings.put(blob.digest, packed)
            return entries

    async def _known(self, blob: Blob) -> list[Entry] | None:
        async with self._database.read() as tx:
            packed = await tx.listings.one(blob.digest)
        return None if packed is None else await asyncio.to_thread(unpack, packed)

    async def _walked(self, blob: Blob) -> Listing:
        """Reads a chunk once for all headers in it, and none that has only content."""
        listing = Listing()
        while listing.wanted is not None:
            first, length = listing.wanted
            at = first // CHUNK * CHUNK
            end = -(-(first + length) // CHUNK) * CHUNK
            await asyncio.to_thread(listing.take, at, await self._bytes(blob, at, end - at))
        return listing

    async def _bytes(self, blob: Blob, first: int, length: int) -> bytes:
        """As many as there are."""
        content = bytearray()
        if length and first < blob.size_bytes:
            async with aclosing(self._integrity.read(blob, first=first, length=length)) as chunks:
                async for chunk in chunks:
                    content += chunk
        return bytes(content)


def _update(
    hashes: Mapping[str, "hashlib._Hash"], entries: Sequence[Entry], *, at: int, chunk: memoryview
) -> None:
    """``chunk`` begins at ``at``."""
    for each in entries:
        first = max(each.offset - at, 0)
        hashes[each.path].update(chunk[first : each.offset + each.size_bytes - at])


def _packed(listing: Listing) -> tuple[list[Entry], bytes]:
    entries = listing.entries
    return entries, pack(entries)
