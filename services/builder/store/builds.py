"""Builds in PostgreSQL, from the queue to their end."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from libs.chassis.postgres import Connection
from services.builder.domain import (
    BuildView,
    Image,
    Model,
    Order,
    Origin,
    Planned,
    Step,
    Wish,
)

_ADD: Final = """
INSERT INTO build (id, org_id, revision_id, deployment_id, target, bento_id, repository, version,
    bento_digest, models, kind, wish, org, actor, correlation_id, causation_id, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb, $11, $12::text::jsonb, $13, $14,
    $15, $16, $17)
"""
_ADVANCE: Final = "UPDATE build SET events = events + 1 WHERE id = $1 RETURNING events"
_START: Final = """
UPDATE build
SET status = 'running', started_at = coalesce(started_at, now()), attempts = attempts + 1
WHERE id = (
    SELECT id FROM build
    WHERE status IN ('queued', 'running') AND id <> ALL ($1::uuid[]) AND due_at <= now()
        AND org_id <> ALL ($2::uuid[])
    ORDER BY id LIMIT 1
)
RETURNING id, org_id, revision_id, deployment_id, target, bento_id, repository, version,
    bento_digest, models, kind, wish, org, attempts, actor, correlation_id, causation_id,
    traceparent
"""
_PUT_OFF: Final = """
UPDATE build SET status = 'queued', due_at = now() + $2::interval
WHERE id = $1 AND status = 'running'
"""
_CLAIM: Final = "UPDATE build SET environment_digest = $2, image_digest = $3 WHERE id = $1"
_PLANNED: Final = """
UPDATE build SET strategy = $2, why = $3::text::jsonb, plan_digest = $4, plan = $5::text::jsonb
WHERE id = $1
"""
_STEPS: Final = "UPDATE build SET steps = $2::text::jsonb WHERE id = $1"
_BUILT: Final = """
UPDATE build SET status = 'built', image_digest = $2, uri = $3, reused = $4, seconds = $5,
    ended_at = now()
WHERE id = $1 AND status = 'running' RETURNING true
"""
_FAILED: Final = """
UPDATE build SET status = 'failed', code = $2, reason = $3, ended_at = now()
WHERE id = $1 AND status = 'running' RETURNING true
"""
_VIEW: Final = """
SELECT id, kind, status, repository || ':' || version AS bento, revision_id, strategy, why,
    plan_digest, image_digest, uri, reused, seconds, steps, code, reason, created_at, started_at,
    ended_at
FROM build WHERE org_id = $1
"""
_ONE: Final = f"{_VIEW} AND id = $2"
_NEWEST: Final = f"{_VIEW} ORDER BY id DESC LIMIT $2"

_ORGANISATIONS: Final = "SELECT count(DISTINCT org_id) FROM build"

_MODELS: Final = TypeAdapter(tuple[Model, ...])
_WISH: Final = TypeAdapter(Wish)
_STEPS_OF: Final = TypeAdapter(tuple[Step, ...])


class BuildStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def organisations(self) -> int:
        """How many have ever had something built."""
        return int(await self._connection.fetchval(_ORGANISATIONS))

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
            to_json(order.models).decode(),
            order.kind,
            to_json(order.wish).decode(),
            order.org,
            origin.actor,
            origin.correlation_id,
            origin.causation_id,
            origin.traceparent,
        )

    async def advance(self, build_id: UUID) -> int:
        """The number of the build's next event; locks its row."""
        return int(await self._connection.fetchval(_ADVANCE, build_id))

    async def start(self, besides: Collection[UUID], *, full: Collection[UUID]) -> Order | None:
        """The oldest that is due and has no end, also where its worker died.

        None of ``besides``, and of no organisation that is ``full``.
        """
        row = await self._connection.fetchrow(_START, list(besides), list(full))
        if row is None:
            return None
        given = dict(row)
        origin = Origin(**{name: given.pop(name) for name in Origin.__slots__})
        models = _MODELS.validate_json(given.pop("models"))
        wish = _WISH.validate_json(given.pop("wish"))
        return Order(**given, models=models, wish=wish, origin=origin)

    async def put_off(self, build_id: UUID, pause: timedelta) -> None:
        await self._connection.execute(_PUT_OFF, build_id, pause)

    async def claim(self, build_id: UUID, *, environment: str | None, image: str) -> None:
        """Nobody prunes these two while the build runs."""
        await self._connection.execute(_CLAIM, build_id, environment, image)

    async def planned(self, build_id: UUID, planned: Planned) -> None:
        choice = planned.choice
        why, body = to_json(choice.why).decode(), to_json(planned.body).decode()
        await self._connection.execute(
            _PLANNED, build_id, choice.strategy, why, planned.digest, body
        )

    async def steps(self, build_id: UUID, steps: Sequence[Step]) -> None:
        await self._connection.execute(_STEPS, build_id, to_json(list(steps)).decode())

    async def built(self, build_id: UUID, image: Image, seconds: float) -> bool:
        row = (build_id, image.digest, image.uri, image.reused, seconds)
        return await self._connection.fetchval(_BUILT, *row) is not None

    async def failed(self, build_id: UUID, code: str, reason: str) -> bool:
        return await self._connection.fetchval(_FAILED, build_id, code, reason) is not None

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView | None:
        row = await self._connection.fetchrow(_ONE, org_id, build_id)
        return _view(row) if row is not None else None

    async def newest(self, org_id: UUID, limit: int) -> Sequence[BuildView]:
        return [_view(row) for row in await self._connection.fetch(_NEWEST, org_id, limit)]


def _view(row: asyncpg.Record) -> BuildView:
    given: dict[str, Any] = dict(row)
    why, steps = tuple(from_json(given.pop("why"))), _STEPS_OF.validate_json(given.pop("steps"))
    return BuildView(**given, why=why, steps=steps)
