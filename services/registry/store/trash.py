"""Versions on their way out: what keeps them, the trash, and the end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.chassis.postgres import Connection, texts
from services.registry.domain import Holder, Trashed

_HOLDERS: Final = """
    SELECT 'alias' AS kind, a.name AS name FROM alias a
    WHERE a.version_id = ANY ($1::text[]::uuid[])
    UNION ALL
    SELECT 'revision', h.deployment || ' (' || h.revision_id || ')' FROM hold h
    WHERE h.version_id = ANY ($1::text[]::uuid[])
    UNION ALL
    SELECT 'bento', br.name || ':' || b.version
    FROM version m
    JOIN repository mr ON mr.id = m.repository_id AND mr.kind = 'model'
    JOIN need n ON n.repository = mr.name AND n.version = m.version
    JOIN version b ON b.id = n.version_id AND b.org_id = m.org_id AND b.deleted_at IS NULL
    JOIN repository br ON br.id = b.repository_id
    WHERE m.id = ANY ($1::text[]::uuid[])
    ORDER BY 1, 2 LIMIT 100
"""
_DELETE: Final = """
    UPDATE version SET deleted_at = $2, purge_at = $3, deleted_by = $4, updated_at = $2,
        seq = seq + 1
    WHERE id = $1 AND deleted_at IS NULL RETURNING seq
"""
_IS_LIVE: Final = "SELECT true FROM version WHERE id = $1 AND deleted_at IS NULL FOR SHARE"
_LIVE: Final = """
    SELECT id FROM version WHERE repository_id = $1 AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_RESTORE: Final = """
    UPDATE version SET deleted_at = NULL, purge_at = NULL, deleted_by = NULL, updated_at = $2,
        seq = seq + 1
    WHERE id = $1 AND deleted_at IS NOT NULL RETURNING seq
"""
_HIDE: Final = "UPDATE repository SET deleted_at = $2 WHERE id = $1"
_SHOW: Final = "UPDATE repository SET deleted_at = NULL WHERE id = $1 AND deleted_at IS NOT NULL"
_TRASHED: Final = """
    SELECT v.id, v.org_id, v.repository_id, r.kind, r.name AS repository, v.version, v.digest,
           coalesce(b.size_bytes, 0) AS size_bytes, v.deleted_at, v.purge_at, v.deleted_by, v.seq
    FROM version v JOIN repository r ON r.id = v.repository_id LEFT JOIN blob b USING (digest)
    WHERE v.deleted_at IS NOT NULL
"""
_TRASH: Final = f"""{_TRASHED}
    AND v.org_id = $1 AND ($2::text IS NULL OR r.kind = $2)
    AND ($3::timestamptz IS NULL OR (v.deleted_at, v.id) < ($3, $4::uuid))
    ORDER BY v.deleted_at DESC, v.id DESC LIMIT $5
"""
_NAMED: Final = f"""{_TRASHED}
    AND v.org_id = $1 AND r.kind = $2 AND r.name = $3 AND v.version = $4
    ORDER BY v.deleted_at DESC LIMIT 1 FOR UPDATE OF v
"""
_DUE: Final = f"""{_TRASHED}
    AND v.purge_at <= $1 AND ($2::uuid IS NULL OR v.org_id = $2)
    AND NOT EXISTS (SELECT FROM hold h WHERE h.version_id = v.id)
    ORDER BY v.purge_at LIMIT 1 FOR UPDATE OF v SKIP LOCKED
"""
_PURGE: Final = """
    DELETE FROM version WHERE id = $1 AND NOT EXISTS (SELECT FROM hold WHERE version_id = $1)
    RETURNING id
"""
_RELEASE: Final = "UPDATE blob SET released_at = $3, released_org = $2 WHERE digest = $1"
_FORGET_REPOSITORIES: Final = """
    DELETE FROM repository r WHERE r.deleted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM version v WHERE v.repository_id = r.id)
"""


class TrashRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def holders(self, versions: Sequence[UUID]) -> list[Holder]:
        """What keeps any of them, at most a hundred."""
        return [Holder(**row) for row in await self._connection.fetch(_HOLDERS, texts(versions))]

    async def is_live(self, version_id: UUID) -> bool:
        """And stays so until the end of the transaction."""
        return bool(await self._connection.fetchval(_IS_LIVE, version_id))

    async def lock_live(self, repository_id: UUID) -> list[UUID]:
        return [row["id"] for row in await self._connection.fetch(_LIVE, repository_id)]

    async def delete(
        self, version_id: UUID, *, now: datetime, purge_at: datetime, actor: str
    ) -> int | None:
        """Its new sequence number; None where it was there already."""
        seq: int | None = await self._connection.fetchval(_DELETE, version_id, now, purge_at, actor)
        return seq

    async def restore(self, version_id: UUID, now: datetime) -> int | None:
        seq: int | None = await self._connection.fetchval(_RESTORE, version_id, now)
        return seq

    async def hide(self, repository_id: UUID, now: datetime) -> None:
        await self._connection.execute(_HIDE, repository_id, now)

    async def show(self, repository_id: UUID) -> None:
        await self._connection.execute(_SHOW, repository_id)

    async def all(
        self, org_id: UUID, kind: str | None, *, before: tuple[datetime, UUID] | None, count: int
    ) -> list[Trashed]:
        at, version_id = before or (None, None)
        rows = await self._connection.fetch(_TRASH, org_id, kind, at, version_id, count)
        return [_trashed(row) for row in rows]

    async def named(
        self, org_id: UUID, kind: str, *, repository: str, version: str
    ) -> Trashed | None:
        """The one of this name that was deleted last, locked."""
        row = await self._connection.fetchrow(_NAMED, org_id, kind, repository, version)
        return _trashed(row) if row else None

    async def lock_due(self, now: datetime, org_id: UUID | None) -> Trashed | None:
        """One whose time is over and that nothing holds; of whatever organisation, or of one."""
        row = await self._connection.fetchrow(_DUE, now, org_id)
        return _trashed(row) if row else None

    async def purge(self, version_id: UUID) -> bool:
        """False where a hold was taken before it was locked."""
        return await self._connection.fetchval(_PURGE, version_id) is not None

    async def release(self, digest: str, *, org_id: UUID, now: datetime) -> None:
        """Note who let go of these bytes, should nobody else point to them."""
        await self._connection.execute(_RELEASE, digest, org_id, now)

    async def forget_repositories(self) -> None:
        """Those that were deleted and have nothing left, not even in the trash."""
        await self._connection.execute(_FORGET_REPOSITORIES)


def _trashed(row: Any) -> Trashed:
    return Trashed(**row)
