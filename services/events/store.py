"""The log in Postgres. All of the events service's SQL is here; none of its rules are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.postgres import Connection
from libs.contracts.event import EnvelopeHead
from services.events.domain import Entry, Head, Query

_OPEN_CHAIN = """
    INSERT INTO log_chain (org_id, seq, hash) VALUES ($1, 0, $2)
    ON CONFLICT (org_id) DO NOTHING
"""
_LOCK_CHAIN = "SELECT org_id, seq, hash FROM log_chain WHERE org_id = $1 FOR UPDATE"
_HEAD = "SELECT org_id, seq, hash FROM log_chain WHERE org_id = $1"
_HEADS = "SELECT org_id, seq, hash FROM log_chain WHERE seq > 0 ORDER BY org_id"
_MOVE_CHAIN = "UPDATE log_chain SET seq = $2, hash = $3 WHERE org_id = $1"
_APPEND = """
    INSERT INTO log_entry (org_id, seq, hash, body_digest, body, event_id, short_name, entity_id,
                           actor, correlation_id, occurred_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_FIRST = """
    SELECT seq, hash, body, short_name
    FROM log_entry
    WHERE org_id = $1
      AND seq > $2
      AND (cardinality($3::text[]) = 0 OR short_name = ANY ($3::text[]))
      AND ($4::uuid IS NULL OR entity_id = $4)
      AND ($5::text IS NULL OR correlation_id = $5)
      AND ($6::text IS NULL OR actor = $6)
      AND ($7::timestamptz IS NULL OR occurred_at >= $7)
      AND ($8::timestamptz IS NULL OR occurred_at < $8)
      AND body IS NOT NULL
    ORDER BY seq LIMIT $9
"""
_LAST = """
    SELECT seq, hash, body, short_name
    FROM log_entry
    WHERE org_id = $1
      AND seq > $2
      AND (cardinality($3::text[]) = 0 OR short_name = ANY ($3::text[]))
      AND ($4::uuid IS NULL OR entity_id = $4)
      AND ($5::text IS NULL OR correlation_id = $5)
      AND ($6::text IS NULL OR actor = $6)
      AND ($7::timestamptz IS NULL OR occurred_at >= $7)
      AND ($8::timestamptz IS NULL OR occurred_at < $8)
      AND body IS NOT NULL
    ORDER BY seq DESC LIMIT $9
"""
_LINKS = """
    SELECT seq, hash, body_digest, body FROM log_entry
    WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
_LAST_ANCHOR = "SELECT seq, hash FROM log_anchor ORDER BY seq DESC LIMIT 1"
_ANCHORED = "SELECT org_id, seq, hash FROM log_anchor_head WHERE anchor = $1"
_ADD_ANCHOR = "INSERT INTO log_anchor (hash) VALUES ($1) RETURNING seq"
_ADD_ANCHOR_HEAD = "INSERT INTO log_anchor_head (anchor, org_id, seq, hash) VALUES ($1, $2, $3, $4)"
_LOCK_ANCHORS = "LOCK TABLE log_anchor IN SHARE ROW EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One fact with the place in the chain that it is to have."""

    head: Head
    event: EnvelopeHead
    body: bytes
    digest: bytes
    name: str


class LogStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, org_id: UUID, *, genesis: bytes) -> Head:
        """The chain's head, locked until commit: an org's entries are numbered in commit order."""
        row = await self._connection.fetchrow(_LOCK_CHAIN, org_id)
        if row is None:
            await self._connection.execute(_OPEN_CHAIN, org_id, genesis)
            row = await self._connection.fetchrow(_LOCK_CHAIN, org_id)
        return Head(**dict(row or {}))

    async def append(self, head: Head, entries: Sequence[NewEntry]) -> None:
        """Store entries that follow from one another, and move the chain to ``head``, the last."""
        rows = [
            (
                each.head.org_id,
                each.head.seq,
                each.head.hash,
                each.digest,
                each.body,
                each.event.id,
                each.name,
                each.event.entityid,
                each.event.actor,
                each.event.correlationid,
                each.event.time,
            )
            for each in entries
        ]
        await self._connection.executemany(_APPEND, rows)
        await self._connection.execute(_MOVE_CHAIN, head.org_id, head.seq, head.hash)

    async def first(self, org_id: UUID, query: Query) -> list[Entry]:
        """Oldest matches after the cursor, ascending."""
        return await self._entries(_FIRST, org_id, query)

    async def last(self, org_id: UUID, query: Query) -> list[Entry]:
        """Newest matches, ascending."""
        return (await self._entries(_LAST, org_id, query))[::-1]

    async def _entries(self, statement: str, org_id: UUID, query: Query) -> list[Entry]:
        rows = await self._connection.fetch(
            statement,
            org_id,
            query.after,
            list(query.types),
            query.entity_id,
            query.correlation_id,
            query.actor,
            query.since,
            query.until,
            query.limit,
        )
        return [Entry(**dict(row)) for row in rows]

    async def head(self, org_id: UUID) -> Head | None:
        row = await self._connection.fetchrow(_HEAD, org_id)
        return Head(**dict(row)) if row else None

    async def heads(self) -> list[Head]:
        return [Head(**dict(row)) for row in await self._connection.fetch(_HEADS)]

    async def links(
        self, org_id: UUID, *, after: int, limit: int
    ) -> list[tuple[int, bytes, bytes, bytes | None]]:
        """``(seq, hash, body digest, body)`` for verification."""
        return [tuple(row) for row in await self._connection.fetch(_LINKS, org_id, after, limit)]

    async def last_anchor(self) -> tuple[bytes, list[Head]] | None:
        """The platform chain's end and what it covers, locked against a second writer."""
        await self._connection.execute(_LOCK_ANCHORS)
        row = await self._connection.fetchrow(_LAST_ANCHOR)
        if row is None:
            return None
        heads = await self._connection.fetch(_ANCHORED, row["seq"])
        return row["hash"], [Head(**dict(head)) for head in heads]

    async def add_anchor(self, digest: bytes, heads: Iterable[Head]) -> None:
        anchor = await self._connection.fetchval(_ADD_ANCHOR, digest)
        rows = [(anchor, head.org_id, head.seq, head.hash) for head in heads]
        await self._connection.executemany(_ADD_ANCHOR_HEAD, rows)
