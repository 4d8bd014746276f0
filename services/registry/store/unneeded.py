"""Bytes that nobody points to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from libs.chassis.postgres import Connection
from services.registry.domain import Unneeded

_UNNEEDED: Final = """
    SELECT b.digest, b.size_bytes, b.place, b.state, b.state_at, b.released_at, b.released_org
    FROM blob b
    WHERE b.state IN ('stored', 'damaged') AND coalesce(b.released_at, b.state_at) <= $1
      AND NOT EXISTS (SELECT FROM pointer p WHERE p.digest = b.digest)
    ORDER BY b.digest
"""
_MARK: Final = """
    UPDATE blob b SET state = 'deleting', state_at = $2
    WHERE b.digest = ANY ($1::text[]) AND b.state <> 'deleting'
      AND NOT EXISTS (SELECT FROM pointer p WHERE p.digest = b.digest)
      AND coalesce(b.released_at, b.state_at) <= $3
    RETURNING b.size_bytes
"""
_REVIVE: Final = """
    UPDATE blob b SET state = 'stored', state_at = $1
    WHERE b.state = 'deleting' AND EXISTS (SELECT FROM pointer p WHERE p.digest = b.digest)
"""
_DUE: Final = """
    SELECT b.digest, b.size_bytes, b.place, b.state, b.state_at, b.released_at, b.released_org
    FROM blob b WHERE b.state = 'deleting' AND b.state_at <= $1
      AND NOT EXISTS (SELECT FROM pointer p WHERE p.digest = b.digest)
    ORDER BY b.state_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_FORGET: Final = """
    DELETE FROM blob b WHERE b.digest = $1
      AND NOT EXISTS (SELECT FROM pointer p WHERE p.digest = b.digest)
    RETURNING b.digest
"""
_TOTAL: Final = "SELECT coalesce(sum(size_bytes), 0)::bigint FROM blob"
_KNOWN: Final = """
    SELECT place FROM blob WHERE place = ANY ($1::text[])
    UNION ALL
    SELECT location FROM oci_piece WHERE location = ANY ($1::text[])
    UNION ALL
    SELECT location FROM transfer_part WHERE location = ANY ($1::text[])
    UNION ALL
    SELECT location FROM transfer WHERE location = ANY ($1::text[])
"""


class UnneededRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, since: datetime) -> list[Unneeded]:
        """Those that nobody has pointed to or touched since then."""
        return [_unneeded(row) for row in await self._connection.fetch(_UNNEEDED, since)]

    async def mark(self, digests: Sequence[str], *, since: datetime, now: datetime) -> int:
        """Bytes that are about to go.

        A push that ends at this moment is not seen in the tables yet; it touched the row.
        """
        rows = await self._connection.fetch(_MARK, list(digests), now, since)
        return sum(row["size_bytes"] for row in rows)

    async def revive(self, now: datetime) -> None:
        await self._connection.execute(_REVIVE, now)

    async def lock_due(self, since: datetime) -> Unneeded | None:
        """One that was marked before then, and that still nobody points to."""
        row = await self._connection.fetchrow(_DUE, since)
        return _unneeded(row) if row else None

    async def forget(self, digest: str) -> bool:
        """False where somebody came to point to it before it was locked."""
        return await self._connection.fetchval(_FORGET, digest) is not None

    async def total(self) -> int:
        """All bytes that are known of."""
        return int(await self._connection.fetchval(_TOTAL))

    async def known(self, places: Sequence[str]) -> set[str]:
        return {row["place"] for row in await self._connection.fetch(_KNOWN, list(places))}


def _unneeded(row: Any) -> Unneeded:
    return Unneeded(**row)
