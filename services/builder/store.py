"""Builds, locks and holds in PostgreSQL."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection
from services.builder.domain import BuildView, Image, Model, Order, Origin

_ADD: Final = """
INSERT INTO build (id, org_id, revision_id, deployment_id, target, bento_id, repository, version,
    bento_digest, models, actor, correlation_id, causation_id, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb, $11, $12, $13, $14)
"""
_ADVANCE: Final = "UPDATE build SET events = events + 1 WHERE id = $1 RETURNING events"
_START: Final = """
UPDATE build
SET status = 'running', started_at = coalesce(started_at, now()), attempts = attempts + 1
WHERE id = (
    SELECT id FROM build
    WHERE status IN ('queued', 'running') AND id <> ALL ($1::uuid[]) AND due_at <= now()
    ORDER BY id LIMIT 1
)
RETURNING id, org_id, revision_id, deployment_id, target, bento_id, repository, version,
    bento_digest, models, attempts, actor, correlation_id, causation_id, traceparent
"""
_PUT_OFF: Final = """
UPDATE build SET status = 'queued', due_at = now() + $2::interval
WHERE id = $1 AND status = 'running'
"""
_CLAIM: Final = "UPDATE build SET environment_digest = $2, image_digest = $3 WHERE id = $1"
_BUILT: Final = """
UPDATE build SET status = 'built', uri = $2, reused = $3, seconds = $4, ended_at = now()
WHERE id = $1 AND status = 'running' RETURNING true
"""
_FAILED: Final = """
UPDATE build SET status = 'failed', code = $2, reason = $3, ended_at = now()
WHERE id = $1 AND status = 'running' RETURNING true
"""
_VIEW: Final = """
SELECT id, status, repository || ':' || version AS bento, revision_id, image_digest, uri, reused,
    seconds, code, reason, created_at, started_at, ended_at
FROM build WHERE org_id = $1
"""
_ONE: Final = f"{_VIEW} AND id = $2"
_NEWEST: Final = f"{_VIEW} ORDER BY id DESC LIMIT $2"
_KEEP_LOCK: Final = """
INSERT INTO requirements_lock (org_id, bento_digest, python, platform, body)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT body FROM requirements_lock
WHERE org_id = $1 AND bento_digest = $2 AND python = $3 AND platform = $4
"""
_HOLD: Final = """
INSERT INTO hold (revision_id, org_id, image_digest) VALUES ($1, $2, $3)
ON CONFLICT (org_id, revision_id) DO UPDATE SET image_digest = excluded.image_digest
"""
_RELEASE: Final = "DELETE FROM hold WHERE org_id = $1 AND revision_id = $2"
_OWNED: Final = """
SELECT true FROM build WHERE org_id = $1 AND image_digest = $2 AND status = 'built' LIMIT 1
"""
_BUILT_BY: Final = """
SELECT image_digest, environment_digest FROM build WHERE org_id = $1 AND image_digest IS NOT NULL
"""
_KEPT: Final = """
SELECT image_digest, environment_digest FROM build
WHERE image_digest IS NOT NULL AND (status = 'running' OR ended_at > now() - interval '1 hour'
    OR image_digest IN (SELECT image_digest FROM hold)
    OR (org_id <> $1 AND status = 'built'))
"""
_ALONE: Final = "SELECT pg_advisory_xact_lock(7301, 1)"


class BuildStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, order: Order) -> None:
        origin = order.origin
        await self._connection.execute(
            _ADD,
            order.id,
            order.org_id,
            order.revision_id,
            order.deployment_id,
            order.target,
            order.bento_id,
            order.repository,
            order.version,
            order.bento_digest,
            json.dumps([asdict(each) for each in order.models]),
            origin.actor,
            origin.correlation_id,
            origin.causation_id,
            origin.traceparent,
        )

    async def advance(self, build_id: UUID) -> int:
        """The number of the build's next event; locks its row."""
        return int(await self._connection.fetchval(_ADVANCE, build_id))

    async def start(self, besides: Collection[UUID]) -> Order | None:
        """The oldest that is due and has no end, also where its worker died."""
        row = await self._connection.fetchrow(_START, list(besides))
        if row is None:
            return None
        given = dict(row)
        origin = Origin(**{name: given.pop(name) for name in Origin.__slots__})
        models = tuple(Model(**each) for each in json.loads(given.pop("models")))
        return Order(**given, models=models, origin=origin)

    async def put_off(self, build_id: UUID, pause: timedelta) -> None:
        await self._connection.execute(_PUT_OFF, build_id, pause)

    async def claim(self, build_id: UUID, *, environment: str, image: str) -> None:
        """Nobody prunes these two while the build runs."""
        await self._connection.execute(_CLAIM, build_id, environment, image)

    async def built(self, build_id: UUID, image: Image, seconds: float) -> bool:
        row = (build_id, image.uri, image.reused, seconds)
        return await self._connection.fetchval(_BUILT, *row) is not None

    async def failed(self, build_id: UUID, code: str, reason: str) -> bool:
        return await self._connection.fetchval(_FAILED, build_id, code, reason) is not None

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView | None:
        row = await self._connection.fetchrow(_ONE, org_id, build_id)
        return BuildView(**dict(row)) if row is not None else None

    async def newest(self, org_id: UUID, limit: int) -> Sequence[BuildView]:
        return [
            BuildView(**dict(row)) for row in await self._connection.fetch(_NEWEST, org_id, limit)
        ]

    async def keep_lock(self, key: tuple[UUID, str, str, str], body: str) -> str:
        """The lock that counts: the first one stored under ``key``."""
        await self._connection.execute(_KEEP_LOCK, *key, body)
        return str(await self._connection.fetchval(_LOCK, *key))

    async def lock(self, key: tuple[UUID, str, str, str]) -> str | None:
        found: Any = await self._connection.fetchval(_LOCK, *key)
        return None if found is None else str(found)


class HoldStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alone(self) -> None:
        """Until the end of the transaction nobody else holds, claims or prunes."""
        await self._connection.execute(_ALONE)

    async def owned(self, org_id: UUID, digest: str) -> bool:
        return await self._connection.fetchval(_OWNED, org_id, digest) is not None

    async def hold(self, org_id: UUID, revision_id: UUID, digest: str) -> None:
        await self._connection.execute(_HOLD, revision_id, org_id, digest)

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        await self._connection.execute(_RELEASE, org_id, revision_id)

    async def built_by(self, org_id: UUID) -> set[str]:
        """Digests of images and environments of the organisation's builds."""
        return _digests(await self._connection.fetch(_BUILT_BY, org_id))

    async def kept(self, org_id: UUID) -> set[str]:
        """Those that must stay when ``org_id`` prunes: in use, or what another one has built."""
        return _digests(await self._connection.fetch(_KEPT, org_id))


def _digests(rows: Iterable[asyncpg.Record]) -> set[str]:
    return {digest for row in rows for digest in row if digest}
