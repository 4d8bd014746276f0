"""Rules of repositories, and what they look at."""

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.registry.domain import Repository, Retention, Version
from services.registry.store.rows import repository_of, version_of

_ONE: Final = """
    SELECT keep_last, keep_days, keep_labels FROM retention WHERE repository_id = $1
"""
_ALL: Final = """
    SELECT r.id, r.org_id, r.kind, r.name, r.description, r.created_at, r.creator, r.labels,
           t.keep_last, t.keep_days, t.keep_labels
    FROM retention t JOIN repository r ON r.id = t.repository_id
    WHERE r.deleted_at IS NULL ORDER BY r.id
"""
_PUT: Final = """
    INSERT INTO retention (repository_id, keep_last, keep_days, keep_labels, changed_by, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (repository_id) DO UPDATE SET keep_last = $2, keep_days = $3, keep_labels = $4,
        changed_by = $5, changed_at = $6
"""
_REMOVE: Final = "DELETE FROM retention WHERE repository_id = $1"
_VERSIONS: Final = """
    SELECT * FROM version
    WHERE repository_id = $1 AND deleted_at IS NULL AND upload_status = 'success'
    ORDER BY created_at DESC, id DESC
"""


class RetentionRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def one(self, repository_id: UUID) -> Retention | None:
        row = await self._connection.fetchrow(_ONE, repository_id)
        return _rule(row) if row else None

    async def all(self) -> list[tuple[Repository, Retention]]:
        found = []
        for row in await self._connection.fetch(_ALL):
            columns = dict(row)
            rule = _rule({name: columns.pop(name) for name in Retention.__dataclass_fields__})
            found.append((repository_of(columns), rule))
        return found

    async def put(self, repository_id: UUID, rule: Retention, *, actor: str, now: datetime) -> None:
        labels = json.dumps(rule.keep_labels)
        await self._connection.execute(
            _PUT, repository_id, rule.keep_last, rule.keep_days, labels, actor, now
        )

    async def remove(self, repository_id: UUID) -> None:
        await self._connection.execute(_REMOVE, repository_id)

    async def versions(self, repository_id: UUID) -> list[Version]:
        """Those that were uploaded, newest first."""
        rows = await self._connection.fetch(_VERSIONS, repository_id)
        return [version_of(row) for row in rows]


def _rule(row: Any) -> Retention:
    return Retention(row["keep_last"], row["keep_days"], json.loads(row["keep_labels"]))
