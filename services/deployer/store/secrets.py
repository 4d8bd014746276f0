"""Secrets, their values sealed."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from libs.chassis.postgres import Connection
from libs.contracts.identity import Person
from services.deployer.domain.secret import Item, Kind, Secret, Stage

_ADD: Final = """
    INSERT INTO secret (id, org_id, org, name, description, kind, stage, path, items, creator,
                        created_at, updated_at, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb, $10::text::jsonb, $11, $11, $12)
    ON CONFLICT ON CONSTRAINT secret_name_key DO NOTHING RETURNING true
"""
_REPLACE: Final = """
    UPDATE secret SET description = $2, kind = $3, stage = $4, path = $5, items = $6::text::jsonb,
        updated_at = $7, sealed = $8, seq = seq + 1
    WHERE id = $1 RETURNING seq
"""
_ALL: Final = """
    SELECT * FROM secret WHERE org_id = $1 AND strpos(name, $2) > 0 ORDER BY name
"""
_NAMED: Final = """
    SELECT * FROM secret WHERE org_id = $1 AND name = ANY ($2::text[])
    ORDER BY array_position($2, name)
"""
_HOLD: Final = "SELECT * FROM secret WHERE org_id = $1 AND name = ANY ($2::text[]) FOR SHARE"
_LOCK: Final = "SELECT * FROM secret WHERE org_id = $1 AND name = $2 FOR UPDATE"
_REMOVE: Final = "DELETE FROM secret WHERE id = $1"
_USERS: Final = """
    SELECT DISTINCT d.namespace || '/' || d.name AS name
    FROM revision r JOIN deployment d ON d.id = r.deployment_id
    WHERE d.org_id = $1 AND r.stage <> 'retired' AND r.config -> 'secrets' ? $2 ORDER BY 1
"""
_SEALED: Final = "SELECT id, sealed FROM secret ORDER BY id FOR UPDATE"
_RESEAL: Final = "UPDATE secret SET sealed = $2 WHERE id = $1"


class SecretStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, made: Secret, sealed: bytes) -> bool:
        """False where the name is taken."""
        added = await self._connection.fetchval(
            _ADD,
            made.id,
            made.org_id,
            made.org,
            made.name,
            made.description,
            made.kind,
            made.stage,
            made.path,
            _items(made.items),
            made.creator.model_dump_json(),
            made.created_at,
            sealed,
        )
        return added is not None

    async def replace(self, made: Secret, sealed: bytes) -> int:
        """Its new sequence number."""
        return int(
            await self._connection.fetchval(
                _REPLACE,
                made.id,
                made.description,
                made.kind,
                made.stage,
                made.path,
                _items(made.items),
                made.updated_at,
                sealed,
            )
        )

    async def all(self, org_id: UUID, *, search: str) -> list[Secret]:
        return [_secret(row) for row in await self._connection.fetch(_ALL, org_id, search)]

    async def named(self, org_id: UUID, names: Sequence[str]) -> list[tuple[Secret, bytes]]:
        """In the order of their names as given; those that are not there are left out."""
        rows = await self._connection.fetch(_NAMED, org_id, list(names))
        return [(_secret(row), bytes(row["sealed"])) for row in rows]

    async def hold(self, org_id: UUID, names: Sequence[str]) -> dict[str, Secret]:
        """Those that are there, by name; nobody removes them before the end of the transaction."""
        if not names:
            return {}
        rows = await self._connection.fetch(_HOLD, org_id, list(names))
        return {row["name"]: _secret(row) for row in rows}

    async def lock(self, org_id: UUID, name: str) -> Secret | None:
        row = await self._connection.fetchrow(_LOCK, org_id, name)
        return _secret(row) if row else None

    async def remove(self, secret_id: UUID) -> None:
        await self._connection.execute(_REMOVE, secret_id)

    async def users(self, org_id: UUID, name: str) -> list[str]:
        """Deployments of which a revision that is not retired was asked to have it."""
        return [row["name"] for row in await self._connection.fetch(_USERS, org_id, name)]

    async def lock_sealed(self) -> list[tuple[UUID, bytes]]:
        """Every organisation's."""
        rows = await self._connection.fetch(_SEALED)
        return [(row["id"], bytes(row["sealed"])) for row in rows]

    async def reseal(self, secret_id: UUID, sealed: bytes) -> None:
        await self._connection.execute(_RESEAL, secret_id, sealed)


def _items(items: Sequence[Item]) -> str:
    return json.dumps([asdict(each) for each in items])


def _secret(row: Any) -> Secret:
    given = {name: row[name] for name in Secret.__dataclass_fields__}
    given |= {
        "kind": Kind(row["kind"]),
        "stage": Stage(row["stage"]),
        "items": tuple(Item(**each) for each in json.loads(row["items"])),
        "creator": Person.model_validate_json(row["creator"]),
    }
    return Secret(**given)
