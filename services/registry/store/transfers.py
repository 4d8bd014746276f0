"""Uploads by signed URL: what was begun, which parts came, what is being verified."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.chassis.blobs import Blob
from libs.chassis.postgres import Connection
from services.registry.domain import Repository, Transfer, Version
from services.registry.store.rows import WITH_REPOSITORY, repository_beside, version_of

_ADD: Final = """
    INSERT INTO transfer (id, org_id, version_id, in_parts, location, store_upload, actor,
                          correlation, traceparent, tried_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_COLUMNS: Final = """
    SELECT id, org_id, version_id, in_parts, location, store_upload, parts, actor, correlation,
           traceparent, expires_at
    FROM transfer
"""
_ONE: Final = f"{_COLUMNS} WHERE id = $1 AND org_id = $2"
_LATEST: Final = f"""
    {_COLUMNS} WHERE version_id = $1 AND state = 'open' ORDER BY id DESC LIMIT 1
"""
_OF_VERSION: Final = f"""
    {WITH_REPOSITORY}
    FROM version v JOIN repository r ON r.id = v.repository_id WHERE v.id = $1
"""
_NAME_PARTS: Final = "UPDATE transfer SET parts = $2 WHERE id = $1 AND state = 'open'"
_ADD_PART: Final = """
    INSERT INTO transfer_part (transfer_id, number, digest, size_bytes, chunks, location)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_TAKE_PART: Final = """
    DELETE FROM transfer_part WHERE transfer_id = $1 AND number = $2 RETURNING location
"""
_LOCK_OPEN: Final = "SELECT true FROM transfer WHERE id = $1 AND state = 'open' FOR UPDATE"
_PARTS: Final = """
    SELECT number, digest, size_bytes, chunks, location FROM transfer_part
    WHERE transfer_id = $1 ORDER BY number
"""
_VERIFY: Final = """
    UPDATE transfer SET state = 'verifying', tried_at = $2::timestamptz - interval '1 hour'
    WHERE id = $1
"""
_SHOW: Final = """
    UPDATE version SET upload_status = 'verifying', upload_reason = '', upload_id = $2,
        updated_at = $3, upload_alive_at = $3
    WHERE id = $1
"""
_DUE: Final = f"""
    {_COLUMNS} WHERE state = 'verifying' AND tried_at <= $1 ORDER BY tried_at LIMIT 1
    FOR UPDATE SKIP LOCKED
"""
_TRIED: Final = "UPDATE transfer SET tried_at = $2 WHERE id = $1"
_EXPIRED: Final = f"""
    {_COLUMNS} WHERE state = 'open' AND expires_at <= $1 LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_REMOVE: Final = "DELETE FROM transfer WHERE id = $1"
_STRATEGY: Final = "SELECT strategy FROM org_setting WHERE org_id = $1"
_SET_STRATEGY: Final = """
    INSERT INTO org_setting (org_id, strategy) VALUES ($1, $2)
    ON CONFLICT (org_id) DO UPDATE SET strategy = excluded.strategy
"""


class TransferRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, made: Transfer, now: datetime) -> None:
        await self._connection.execute(
            _ADD,
            made.id,
            made.org_id,
            made.version_id,
            made.in_parts,
            made.location,
            made.store_upload,
            made.actor,
            made.correlation,
            made.traceparent,
            now,
            made.expires_at,
        )

    async def one(self, org_id: UUID, transfer_id: UUID) -> Transfer | None:
        row = await self._connection.fetchrow(_ONE, transfer_id, org_id)
        return _transfer(row) if row else None

    async def latest(self, version_id: UUID) -> Transfer | None:
        """The one that was begun last and is not over."""
        row = await self._connection.fetchrow(_LATEST, version_id)
        return _transfer(row) if row else None

    async def version(self, version_id: UUID) -> tuple[Repository, Version] | None:
        row = await self._connection.fetchrow(_OF_VERSION, version_id)
        return (repository_beside(row, row["r_kind"]), version_of(row)) if row else None

    async def name_parts(self, transfer_id: UUID, parts: Sequence[tuple[int, str]]) -> None:
        await self._connection.execute(_NAME_PARTS, transfer_id, json.dumps(list(parts)))

    async def put_part(self, transfer_id: UUID, number: int, part: Blob) -> str | None:
        """What it takes the place of, if anything. Raises ``LookupError`` when all is over."""
        if not await self._connection.fetchval(_LOCK_OPEN, transfer_id):
            raise LookupError(transfer_id)
        before: str | None = await self._connection.fetchval(_TAKE_PART, transfer_id, number)
        await self._connection.execute(
            _ADD_PART,
            transfer_id,
            number,
            part.digest,
            part.size_bytes,
            part.chunks,
            part.location,
        )
        return before

    async def parts(self, transfer_id: UUID) -> list[tuple[int, Blob]]:
        rows = await self._connection.fetch(_PARTS, transfer_id)
        return [
            (
                row["number"],
                Blob(row["digest"], row["size_bytes"], row["chunks"], row["location"]),
            )
            for row in rows
        ]

    async def verify(self, transfer: Transfer, now: datetime) -> None:
        """It is due at once, and the version shows whose it is."""
        await self._connection.execute(_VERIFY, transfer.id, now)
        await self._connection.execute(_SHOW, transfer.version_id, transfer.id, now)

    async def take_due(self, *, since: datetime, now: datetime) -> Transfer | None:
        """One to verify that nobody has tried since then."""
        row = await self._connection.fetchrow(_DUE, since)
        if row is None:
            return None
        await self.tried(row["id"], now)
        return _transfer(row)

    async def tried(self, transfer_id: UUID, now: datetime) -> None:
        await self._connection.execute(_TRIED, transfer_id, now)

    async def lock_expired(self, now: datetime) -> Transfer | None:
        row = await self._connection.fetchrow(_EXPIRED, now)
        return _transfer(row) if row else None

    async def remove(self, transfer_id: UUID) -> None:
        await self._connection.execute(_REMOVE, transfer_id)

    async def strategy(self, org_id: UUID) -> str | None:
        found: str | None = await self._connection.fetchval(_STRATEGY, org_id)
        return found

    async def set_strategy(self, org_id: UUID, strategy: str) -> None:
        await self._connection.execute(_SET_STRATEGY, org_id, strategy)


def _transfer(row: Any) -> Transfer:
    parts = tuple((number, etag) for number, etag in json.loads(row["parts"]))
    return Transfer(**{**row, "parts": parts})
