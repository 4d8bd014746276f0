"""Revisions: what was asked for, and how far it has come."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection, texts
from libs.contracts.identity import Person
from libs.contracts.registry import ResolvedBento
from services.deployer.domain.deployment import Revision, Snapshot, Stage
from services.deployer.store.rows import cause_of, dump, dump_cause, dump_layout, layout_of

_SELECT = """
    SELECT id, deployment_id, number, stage, layout, access_authorization, cause, image_uri,
    image_digest, held, routed_generation, code, reason, trouble
    FROM revision
"""
_ADD = """
    INSERT INTO revision (id, deployment_id, number, stage, bento, config, layout,
                          access_authorization, creator, cause, image_uri, image_digest, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_GET = f"{_SELECT} WHERE id = $1"
_NEWEST = """
    (SELECT max(number) FROM revision AS each WHERE each.deployment_id = revision.deployment_id)
"""
_LATEST = f"{_SELECT} WHERE deployment_id = ANY ($1::text[]::uuid[]) AND number = {_NEWEST}"
_LIVE = f"""{_SELECT}
    WHERE deployment_id = $1 AND stage <> 'retired' ORDER BY number DESC
"""
_SNAPSHOTS = """
    SELECT id, config, bento -> 'view' AS view, creator, created_at FROM revision
    WHERE id = ANY ($1::text[]::uuid[])
"""
_IS_LIVE = """
    SELECT EXISTS (SELECT FROM revision JOIN deployment ON deployment.id = deployment_id
                   WHERE revision.id = $1 AND org_id = $2 AND stage <> 'retired')
"""
_CONFIG = "SELECT config FROM revision WHERE id = $1"
_BENTO = "SELECT bento FROM revision WHERE id = $1"
_BUILT = """
    UPDATE revision SET stage = 'built', image_uri = $2, image_digest = $3
    WHERE id = $1 AND stage = 'pending'
    RETURNING true
"""
_UNBUILT = """
    UPDATE revision SET stage = 'pending', image_uri = NULL, image_digest = NULL, held = false
    WHERE id = $1
"""
_FAIL = """
    UPDATE revision SET stage = $2, code = $3, reason = $4
    WHERE id = $1 AND stage IN ('pending', 'built')
    RETURNING true
"""
_HOLD = "UPDATE revision SET held = $2 WHERE id = $1"
_ROUTED = """
    UPDATE revision
    SET routed_generation = $2, stage = CASE stage WHEN 'built' THEN 'routed' ELSE stage END
    WHERE id = $1
"""
_SERVING = """
    UPDATE revision SET stage = 'serving'
    WHERE id = $1 AND stage = 'routed' AND routed_generation <= $2
"""
_TROUBLE = "UPDATE revision SET trouble = $2 WHERE id = $1 AND trouble <> $2 RETURNING true"
_RETIRE = "UPDATE revision SET held = false, stage = 'retired' WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Draft:
    """A revision to be, with everything that it will never change."""

    revision: Revision
    bento: ResolvedBento
    config: dict[str, Any]
    creator: Person
    created_at: datetime


class RevisionStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, draft: Draft) -> None:
        revision = draft.revision
        await self._connection.execute(
            _ADD,
            revision.id,
            revision.deployment_id,
            revision.number,
            revision.stage,
            draft.bento.model_dump_json(),
            dump(draft.config),
            dump_layout(revision.layout),
            revision.access_authorization,
            draft.creator.model_dump_json(),
            dump_cause(revision.cause),
            revision.image_uri,
            revision.image_digest,
            draft.created_at,
        )

    async def get(self, revision_id: UUID) -> Revision | None:
        row = await self._connection.fetchrow(_GET, revision_id)
        return _revision(row) if row else None

    async def latest(self, deployment_ids: Iterable[UUID]) -> dict[UUID, Revision]:
        """The newest of each deployment."""
        rows = await self._connection.fetch(_LATEST, texts(deployment_ids))
        return {row["deployment_id"]: _revision(row) for row in rows}

    async def live(self, deployment_id: UUID) -> list[Revision]:
        """Those not retired, newest first."""
        return [_revision(row) for row in await self._connection.fetch(_LIVE, deployment_id)]

    async def snapshots(self, revision_ids: Iterable[UUID]) -> dict[UUID, Snapshot]:
        rows = await self._connection.fetch(_SNAPSHOTS, texts(revision_ids))
        return {row["id"]: _snapshot(row) for row in rows}

    async def config(self, revision_id: UUID) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(await self._connection.fetchval(_CONFIG, revision_id))
        return config

    async def is_live(self, revision_id: UUID, org_id: UUID) -> bool:
        return bool(await self._connection.fetchval(_IS_LIVE, revision_id, org_id))

    async def bento(self, revision_id: UUID) -> ResolvedBento:
        raw = await self._connection.fetchval(_BENTO, revision_id)
        return ResolvedBento.model_validate_json(raw)

    async def built(self, revision_id: UUID, *, uri: str, digest: str) -> bool:
        """False when it did not wait for an image."""
        return bool(await self._connection.fetchval(_BUILT, revision_id, uri, digest))

    async def unbuilt(self, revision_id: UUID) -> None:
        """Its image is no more: it waits for another."""
        await self._connection.execute(_UNBUILT, revision_id)

    async def fail(self, revision_id: UUID, stage: Stage, *, code: str, reason: str) -> bool:
        """False when it has come further, or ended, meanwhile."""
        return bool(await self._connection.fetchval(_FAIL, revision_id, stage, code, reason))

    async def hold(self, revision_id: UUID, *, held: bool) -> None:
        await self._connection.execute(_HOLD, revision_id, held)

    async def routed(self, revision_id: UUID, generation: int) -> None:
        await self._connection.execute(_ROUTED, revision_id, generation)

    async def serving(self, revision_id: UUID, generation: int) -> None:
        """Its traffic has arrived, unless the applied generation is older than its routing."""
        await self._connection.execute(_SERVING, revision_id, generation)

    async def trouble(self, revision_id: UUID, text: str) -> bool:
        """False when that was known."""
        return bool(await self._connection.fetchval(_TROUBLE, revision_id, text))

    async def retire(self, revision_id: UUID) -> None:
        await self._connection.execute(_RETIRE, revision_id)


def _revision(row: asyncpg.Record) -> Revision:
    return Revision(
        id=row["id"],
        deployment_id=row["deployment_id"],
        number=row["number"],
        stage=Stage(row["stage"]),
        layout=layout_of(row["layout"]),
        access_authorization=row["access_authorization"],
        cause=cause_of(row["cause"]),
        image_uri=row["image_uri"],
        image_digest=row["image_digest"],
        held=row["held"],
        routed_generation=row["routed_generation"],
        code=row["code"],
        reason=row["reason"],
        trouble=row["trouble"],
    )


def _snapshot(row: asyncpg.Record) -> Snapshot:
    return Snapshot(
        config=json.loads(row["config"]),
        bento=json.loads(row["view"]),
        creator=Person.model_validate_json(row["creator"]),
        created_at=row["created_at"],
    )
