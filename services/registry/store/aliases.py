"""Aliases, locked while they move, and their history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.registry.domain import Alias, Move

_ALIAS: Final = """
    SELECT a.id, a.repository_id, a.name, v.version, a.protected, a.seq, a.moved_at
    FROM alias a JOIN version v ON v.id = a.version_id
    WHERE a.repository_id = $1
"""
_ONE: Final = f"{_ALIAS} AND a.name = $2"
_ALL: Final = f"{_ALIAS} AND a.name > $2 ORDER BY a.name LIMIT $3"
_SERIALISE: Final = "SELECT id FROM repository WHERE id = $1 FOR UPDATE"
_PUT: Final = """
    INSERT INTO alias AS a (id, repository_id, name, version_id, moved_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT ON CONSTRAINT alias_name_key
    DO UPDATE SET version_id = excluded.version_id, moved_at = excluded.moved_at, seq = a.seq + 1
    RETURNING id, seq
"""
_PROTECT: Final = "UPDATE alias SET protected = $3 WHERE repository_id = $1 AND name = $2"
_REMOVE: Final = "DELETE FROM alias WHERE id = $1"
_NOTE: Final = """
    INSERT INTO alias_move (id, repository_id, alias, before, after, actor, moved_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_HISTORY: Final = """
    SELECT id, alias, before, after, actor, moved_at FROM alias_move
    WHERE repository_id = $1 AND alias = $2 AND ($3::uuid IS NULL OR id < $3)
    ORDER BY id DESC LIMIT $4
"""


class AliasStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alone(self, repository_id: UUID) -> None:
        """Until the end of the transaction nobody else moves an alias of the repository."""
        await self._connection.execute(_SERIALISE, repository_id)

    async def one(self, repository_id: UUID, name: str) -> Alias | None:
        row = await self._connection.fetchrow(_ONE, repository_id, name)
        return Alias(**row) if row else None

    async def all(self, repository_id: UUID, *, after: str, count: int) -> list[Alias]:
        rows = await self._connection.fetch(_ALL, repository_id, after, count)
        return [Alias(**row) for row in rows]

    async def put(
        self, alias_id: UUID, repository_id: UUID, *, name: str, version_id: UUID, now: datetime
    ) -> tuple[UUID, int]:
        """Its id and new sequence number."""
        row = await self._connection.fetchrow(_PUT, alias_id, repository_id, name, version_id, now)
        return (row["id"], row["seq"]) if row else (alias_id, 1)

    async def protect(self, repository_id: UUID, name: str, *, protected: bool) -> None:
        await self._connection.execute(_PROTECT, repository_id, name, protected)

    async def remove(self, alias_id: UUID) -> None:
        await self._connection.execute(_REMOVE, alias_id)

    async def note(self, repository_id: UUID, move: Move) -> None:
        await self._connection.execute(
            _NOTE,
            move.id,
            repository_id,
            move.alias,
            move.before,
            move.after,
            move.actor,
            move.moved_at,
        )

    async def history(
        self, repository_id: UUID, name: str, *, before: UUID | None, count: int
    ) -> Sequence[Move]:
        """Newest first, those older than ``before``."""
        rows = await self._connection.fetch(_HISTORY, repository_id, name, before, count)
        return [Move(**row) for row in rows]
