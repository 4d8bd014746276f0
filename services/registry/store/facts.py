"""What manifests say, to be asked for: facts, and which models a bento names."""

from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.registry.domain import Repository, Version, models_of
from services.registry.query import Compiled, facts_of
from services.registry.store.rows import WITH_REPOSITORY, repository_beside, version_of

_FACTS = "INSERT INTO fact (version_id, key, number, word) VALUES ($1, $2, $3, $4)"
_FORGET_FACTS = "DELETE FROM fact WHERE version_id = $1"
_DESCRIBED = "UPDATE version SET described = true WHERE id = $1"
_UNDESCRIBED = """
    SELECT * FROM version WHERE NOT described ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_NEED = "INSERT INTO need (version_id, repository, version) VALUES ($1, $2, $3)"
_FORGET_NEEDS = "DELETE FROM need WHERE version_id = $1"
_MODELS = f"""
    {WITH_REPOSITORY}
    FROM need n JOIN repository r ON r.org_id = $1 AND r.kind = 'model' AND r.name = n.repository
    JOIN version v ON v.repository_id = r.id AND v.version = n.version AND v.deleted_at IS NULL
    WHERE n.version_id = $2 ORDER BY v.created_at DESC, v.id DESC
"""
_BENTOS = f"""
    {WITH_REPOSITORY}
    FROM need n JOIN version v ON v.id = n.version_id AND v.org_id = $1 AND v.deleted_at IS NULL
    JOIN repository r ON r.id = v.repository_id
    WHERE n.repository = $2 AND n.version = $3 ORDER BY v.created_at DESC, v.id DESC LIMIT 1000
"""
_FOUND = """
    FROM version v JOIN repository r ON r.id = v.repository_id LEFT JOIN blob b USING (digest)
"""
_OF = "v.org_id = $1 AND r.kind = $2 AND v.upload_status = 'success' AND v.deleted_at IS NULL"
FIRST_VALUE: Final = 4
"""Number of the first parameter that a compiled query may use."""


class FactStore:
    """What manifests say, to be asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, version: Version) -> None:
        """What its manifest says, and which models it names."""
        for forget in (_FORGET_FACTS, _FORGET_NEEDS):
            await self._connection.execute(forget, version.id)
        facts = facts_of(version.described)
        rows = [(version.id, each.key, each.number, each.word) for each in facts]
        await self._connection.executemany(_FACTS, rows)
        tags = {tuple(tag.partition(":")[::2]) for tag in models_of(version.described)}
        needs = [(version.id, *tag) for tag in tags if "\0" not in "".join(tag)]
        await self._connection.executemany(_NEED, needs)
        await self._connection.execute(_DESCRIBED, version.id)

    async def models_of(self, org_id: UUID, bento_id: UUID) -> list[tuple[Repository, Version]]:
        rows = await self._connection.fetch(_MODELS, org_id, bento_id)
        return [(repository_beside(row, "model"), version_of(row)) for row in rows]

    async def bentos_with(
        self, org_id: UUID, repository: str, version: str
    ) -> list[tuple[Repository, Version]]:
        rows = await self._connection.fetch(_BENTOS, org_id, repository, version)
        return [(repository_beside(row, "bento"), version_of(row)) for row in rows]

    async def lock_undescribed(self, count: int) -> list[Version]:
        return [version_of(row) for row in await self._connection.fetch(_UNDESCRIBED, count)]

    async def search(
        self, org_id: UUID, kind: str, asked: Compiled, *, count: int
    ) -> list[tuple[Repository, Version, int, tuple[object, ...]]]:
        """With the size of each version's bytes, and the keys it is sorted by."""
        keys = "".join(f", {each.sql} AS key_{at}" for at, each in enumerate(asked.keys))
        statement = (
            f"{WITH_REPOSITORY}, coalesce(b.size_bytes, 0) AS size_bytes{keys} {_FOUND} "
            f"{asked.join} WHERE {_OF} AND {asked.where} ORDER BY {asked.order} LIMIT $3"
        )
        rows = await self._connection.fetch(statement, org_id, kind, count, *asked.values)
        return [
            (
                repository_beside(row, kind),
                version_of(row),
                row["size_bytes"],
                tuple(row[f"key_{at}"] for at in range(len(asked.keys))),
            )
            for row in rows
        ]
