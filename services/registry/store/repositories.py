"""Repositories as lists show them: how many versions, the newest, how much they take."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from libs.chassis.postgres import Connection, texts
from services.registry.domain import Repository, Version
from services.registry.store.rows import repository_of, version_of

_PAGE: Final = """
    SELECT id, org_id, kind, name, description, created_at, creator, labels FROM repository
    WHERE org_id = $1 AND kind = $2 AND deleted_at IS NULL
      AND ($3::text IS NULL OR strpos(name, $3) > 0)
    ORDER BY created_at DESC, id DESC OFFSET $4 LIMIT $5
"""
_TOTAL: Final = """
    SELECT count(*) FROM repository
    WHERE org_id = $1 AND kind = $2 AND deleted_at IS NULL
      AND ($3::text IS NULL OR strpos(name, $3) > 0)
"""
_SIZES: Final = """
    SELECT r.id, r.live_versions AS versions, coalesce(sum(held.copies * b.size_bytes), 0)::bigint
           AS bytes, coalesce(sum(b.size_bytes), 0)::bigint AS stored
    FROM repository r
    LEFT JOIN (
        SELECT repository_id, digest, count(*) AS copies FROM version
        WHERE repository_id = ANY ($1::text[]::uuid[]) AND deleted_at IS NULL AND digest IS NOT NULL
        GROUP BY 1, 2
    ) AS held ON held.repository_id = r.id
    LEFT JOIN blob b USING (digest)
    WHERE r.id = ANY ($1::text[]::uuid[]) GROUP BY r.id
"""
_LATEST: Final = """
    SELECT v.* FROM unnest($1::text[]::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT * FROM version WHERE repository_id = wanted.id AND deleted_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT $2
    ) v
"""
_REVISE: Final = """
    UPDATE repository SET description = coalesce($2, description), labels = coalesce($3, labels)
    WHERE id = $1
    RETURNING id, org_id, kind, name, description, created_at, creator, labels
"""
_LABELS: Final = """
    SELECT key, array_agg(DISTINCT value ORDER BY value) AS values
    FROM version v JOIN repository r ON r.id = v.repository_id, jsonb_each_text(v.labels)
    WHERE v.org_id = $1 AND r.kind = $2 AND v.deleted_at IS NULL GROUP BY key ORDER BY key
"""
_REPOSITORY_LABELS: Final = """
    SELECT key, array_agg(DISTINCT value ORDER BY value) AS values
    FROM repository r, jsonb_each_text(r.labels)
    WHERE r.org_id = $1 AND r.kind = $2 AND r.deleted_at IS NULL GROUP BY key ORDER BY key
"""
_MODULES: Final = """
    SELECT DISTINCT substring(v.manifest FROM '"module": "([a-zA-Z0-9_.]{1,200})"') AS module
    FROM version v JOIN repository r ON r.id = v.repository_id
    WHERE v.org_id = $1 AND r.kind = 'model' AND v.deleted_at IS NULL ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """``stored_bytes`` counts what several versions share once."""

    versions: int
    size_bytes: int
    stored_bytes: int


class RepositoryRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self, org_id: UUID, kind: str, *, search: str | None, start: int, count: int
    ) -> tuple[int, list[Repository]]:
        """Total and one page, newest first."""
        asked = (org_id, kind, search)
        rows = await self._connection.fetch(_PAGE, *asked, start, count)
        total: int = await self._connection.fetchval(_TOTAL, *asked)
        return total, [repository_of(row) for row in rows]

    async def sizes(self, repositories: Sequence[UUID]) -> dict[UUID, Sizes]:
        rows = await self._connection.fetch(_SIZES, texts(repositories))
        return {row["id"]: Sizes(row["versions"], row["bytes"], row["stored"]) for row in rows}

    async def latest(
        self, repositories: Sequence[UUID], *, count: int
    ) -> dict[UUID, list[Version]]:
        """The newest of each."""
        found: dict[UUID, list[Version]] = {}
        for row in await self._connection.fetch(_LATEST, texts(repositories), count):
            found.setdefault(row["repository_id"], []).append(version_of(row))
        return found

    async def revise(
        self, repository_id: UUID, *, description: str | None, labels: dict[str, str] | None
    ) -> Repository:
        """None keeps what is there."""
        told = json.dumps(labels) if labels is not None else None
        row = await self._connection.fetchrow(_REVISE, repository_id, description, told)
        return repository_of(row)

    async def labels(
        self, org_id: UUID, kind: str, *, of_repositories: bool
    ) -> list[dict[str, Any]]:
        statement = _REPOSITORY_LABELS if of_repositories else _LABELS
        return [dict(row) for row in await self._connection.fetch(statement, org_id, kind)]

    async def modules(self, org_id: UUID) -> list[str]:
        rows = await self._connection.fetch(_MODULES, org_id)
        return [row["module"] for row in rows if row["module"]]
