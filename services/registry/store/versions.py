"""Repositories and versions in Postgres."""

import json
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.registry.domain import Repository, Version
from services.registry.query import Filter
from services.registry.store.rows import (
    WITH_REPOSITORY,
    repository_beside,
    repository_of,
    version_of,
)

_ADD_REPOSITORY = """
    INSERT INTO repository (id, org_id, kind, name, description, created_at, creator, labels)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT ON CONSTRAINT repository_name_key DO UPDATE SET deleted_at = NULL
"""
_REPOSITORY = """
    SELECT id, org_id, kind, name, description, created_at, creator, labels FROM repository
    WHERE org_id = $1 AND kind = $2 AND name = $3 AND deleted_at IS NULL
"""
_ADD_VERSION = """
    INSERT INTO version (id, org_id, repository_id, version, description, manifest, labels,
                         build_at, created_at, updated_at, upload_status, creator)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11)
    ON CONFLICT (repository_id, version) WHERE deleted_at IS NULL DO NOTHING RETURNING id
"""
_BY_NAME = """
    SELECT v.* FROM version v
    WHERE v.repository_id = $1 AND v.deleted_at IS NULL
      AND ($2 = 'latest' AND v.upload_status = 'success' OR v.version = $2)
    ORDER BY (v.version = $2) DESC, v.created_at DESC, v.id DESC LIMIT 1
"""
_LOCK = "SELECT * FROM version WHERE id = $1 FOR UPDATE"
_OF_KIND = """
    FROM version v JOIN repository r ON r.id = v.repository_id
    WHERE r.org_id = $1 AND r.kind = $2 AND v.deleted_at IS NULL
"""
_PAGE = f"{WITH_REPOSITORY} {_OF_KIND} AND v.org_id = $1"
_COUNTED = """
    SELECT coalesce(sum(live_versions), 0)::bigint AS live,
           coalesce(sum(uploaded_versions), 0)::bigint AS uploaded
    FROM repository WHERE org_id = $1 AND kind = $2 AND ($3::uuid IS NULL OR id = $3)
"""
_TOTAL = f"SELECT count(*) {_OF_KIND}"
FIRST_OF_LIST: Final = 3
"""Number of the first parameter that a compiled list query may use."""
_REVISE = """
    UPDATE version SET description = $2, manifest = $3, labels = $4, updated_at = $5 WHERE id = $1
"""
_STATE = """
    UPDATE version SET upload_status = $2, upload_reason = $3, updated_at = $4,
        reserved_bytes = $5, upload_id = $6, upload_alive_at = $4,
        upload_started_at = CASE WHEN $2 = 'uploading' THEN $4 ELSE upload_started_at END,
        upload_finished_at = CASE WHEN $2 = 'failed' THEN $4 ELSE upload_finished_at END
    WHERE id = $1
"""
_RENEW = "UPDATE version SET reserved_bytes = $2, upload_alive_at = $3 WHERE id = $1"
_FINISH = """
    UPDATE version SET upload_status = 'success', upload_reason = '', upload_finished_at = $3,
        updated_at = $3, digest = $2, traceparent = $4, seq = seq + 1,
        reserved_bytes = 0, upload_id = NULL
    WHERE id = $1 RETURNING seq
"""
_SILENT = """
    SELECT * FROM version WHERE upload_status = 'uploading' AND upload_alive_at <= $1
      AND NOT EXISTS (SELECT FROM transfer t
                      WHERE t.version_id = version.id AND t.expires_at > now() AND t.state = 'open')
    ORDER BY upload_alive_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_CHARGE = """
    INSERT INTO usage AS u (org_id, reserved_bytes, committed_bytes)
    VALUES ($1, greatest($2, 0), greatest($3, 0))  -- checked even where there is a row to update
    ON CONFLICT (org_id) DO UPDATE SET reserved_bytes = u.reserved_bytes + $2,
                                       committed_bytes = u.committed_bytes + $3
    RETURNING reserved_bytes + committed_bytes
"""
_LIMIT = "SELECT maximum FROM limits WHERE org_id = $1 AND name = $2"
_SYNCED = "UPDATE version SET image_synced_at = $2 WHERE id = $1"
_UNSYNCED = f"""
    {_PAGE} AND v.upload_status = 'success' AND v.image_status IN ('pending', 'building')
    AND coalesce(v.image_synced_at, '-infinity') < $3
    ORDER BY v.created_at, v.id LIMIT 100
"""
_IMAGE = "UPDATE version SET image_status = $2 WHERE id = $1"


class RegistryStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_repository(self, made: Repository) -> None:
        """Keeps the one that is there."""
        await self._connection.execute(
            _ADD_REPOSITORY,
            made.id,
            made.org_id,
            made.kind,
            made.name,
            made.description,
            made.created_at,
            made.creator.model_dump_json() if made.creator else None,
            json.dumps(dict(made.labels)),
        )

    async def repository(self, org_id: UUID, kind: str, name: str) -> Repository | None:
        row = await self._connection.fetchrow(_REPOSITORY, org_id, kind, name)
        return repository_of(row) if row else None

    async def add_version(self, made: Version) -> bool:
        """False when the version is there already."""
        added = await self._connection.fetchval(
            _ADD_VERSION,
            made.id,
            made.org_id,
            made.repository_id,
            made.version,
            made.description,
            made.manifest,
            json.dumps(dict(made.labels)),
            made.build_at,
            made.created_at,
            made.upload_status,
            made.creator.model_dump_json() if made.creator else None,
        )
        return added is not None

    async def version(self, repository_id: UUID, version: str) -> Version | None:
        """``latest`` is the newest that was uploaded, unless a version is really called so."""
        row = await self._connection.fetchrow(_BY_NAME, repository_id, version)
        return version_of(row) if row else None

    async def lock(self, version_id: UUID) -> Version:
        """One that cannot be gone."""
        return version_of(await self._connection.fetchrow(_LOCK, version_id))

    async def lock_if_there(self, version_id: UUID) -> Version | None:
        """None where it was purged meanwhile."""
        row = await self._connection.fetchrow(_LOCK, version_id)
        return version_of(row) if row else None

    async def newest(
        self,
        org_id: UUID,
        kind: str,
        *,
        repository_id: UUID | None,
        asked: Filter,
        start: int,
        count: int,
    ) -> tuple[int, list[tuple[Repository, Version]]]:
        """Total and one page."""
        given: list[object] = [org_id, kind, *asked.values]
        condition = asked.where
        if repository_id is not None:
            given.append(repository_id)
            condition += f" AND r.id = ${len(given)}"
        if asked.counted is None:
            total = await self._connection.fetchval(f"{_TOTAL} AND {condition}", *given)
        else:
            row = await self._connection.fetchrow(_COUNTED, org_id, kind, repository_id)
            total = row[asked.counted] if row else 0
        page = (
            f"{_PAGE} AND {condition} ORDER BY {asked.order} "
            f"OFFSET ${len(given) + 1} LIMIT ${len(given) + 2}"
        )
        rows = await self._connection.fetch(page, *given, start, count)
        return total, [(repository_beside(row, kind), version_of(row)) for row in rows]

    async def revise(self, revised: Version, now: datetime) -> None:
        labels = json.dumps(dict(revised.labels))
        await self._connection.execute(
            _REVISE, revised.id, revised.description, revised.manifest, labels, now
        )

    async def state(
        self,
        version_id: UUID,
        status: str,
        *,
        now: datetime,
        reason: str = "",
        reserved: int = 0,
        upload_id: UUID | None = None,
    ) -> None:
        await self._connection.execute(_STATE, version_id, status, reason, now, reserved, upload_id)

    async def renew(self, version_id: UUID, *, reserved: int, now: datetime) -> None:
        await self._connection.execute(_RENEW, version_id, reserved, now)

    async def lock_silent(self, since: datetime) -> Version | None:
        """One version that waits for bytes of which none came after ``since``."""
        row = await self._connection.fetchrow(_SILENT, since)
        return version_of(row) if row else None

    async def charge(self, org_id: UUID, *, reserved: int, committed: int) -> int:
        """Add to what the organisation uses; the new sum. Others wait until the commit."""
        return int(await self._connection.fetchval(_CHARGE, org_id, reserved, committed))

    async def limit(self, org_id: UUID, name: str) -> int | None:
        """The only reader of limits. ``None``: there is none."""
        maximum: int | None = await self._connection.fetchval(_LIMIT, org_id, name)
        return maximum

    async def finish(
        self, version_id: UUID, digest: str, *, now: datetime, traceparent: str | None
    ) -> int:
        """Point the version at a blob that is there; its new sequence number."""
        return int(await self._connection.fetchval(_FINISH, version_id, digest, now, traceparent))

    async def image_status(self, version_id: UUID, status: str) -> None:
        await self._connection.execute(_IMAGE, version_id, status)

    async def image_synced(self, version_id: UUID, now: datetime) -> None:
        await self._connection.execute(_SYNCED, version_id, now)

    async def unsynced(self, org_id: UUID, *, since: datetime) -> list[tuple[Repository, Version]]:
        rows = await self._connection.fetch(_UNSYNCED, org_id, "bento", since)
        return [(repository_beside(row, "bento"), version_of(row)) for row in rows]
