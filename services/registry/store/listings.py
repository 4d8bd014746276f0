"""What lies in archives, kept compressed: a hundred thousand files are a few megabytes."""

import zlib
from collections.abc import Sequence
from typing import Final

from pydantic_core import from_json, to_json

from libs.chassis.postgres import Connection
from services.registry.archive import Entry

_ONE: Final = "SELECT entries FROM listing WHERE digest = $1"
_PUT: Final = "INSERT INTO listing (digest, entries) VALUES ($1, $2) ON CONFLICT DO NOTHING"


class ListingRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def one(self, digest: str) -> list[Entry] | None:
        """By path."""
        packed: bytes | None = await self._connection.fetchval(_ONE, digest)
        if packed is None:
            return None
        return [Entry(*each) for each in from_json(zlib.decompress(packed))]

    async def put(self, digest: str, entries: Sequence[Entry]) -> None:
        rows = [
            (each.path, each.kind, each.size_bytes, each.mode, each.target, each.offset)
            for each in entries
        ]
        await self._connection.execute(_PUT, digest, zlib.compress(to_json(rows)))
