"""Builds in PostgreSQL, from the queue to their end."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from libs.chassis.postgres import Connection, texts
from services.builder.domain import (
    BuildView,
    Ended,
    Image,
    Model,
    Order,
    Origin,
    Planned,
    Sought,
    Step,
    Wish,
)

_ADD: Final = """
INSERT INTO build (id, org_id, revision_id, deployment_id, target, bento_id, repository, version,
    bento_digest, models, kind, wish, org, awaited_by, resolved, actor, correlation_id,
    causation_id, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb, $11, $12::text::jsonb, $13, $14,
    $15, $16, $17, $18, $19)
"""
_ADVANCE: Final = "UPDATE build SET events = events + 1 WHERE id = $1 RETURNING events"
ORDER: Final = """
id, org_id, revision_id, deployment_id, target, bento_id, repository, version, bento_digest, models,
    kind, wish, org, awaited_by, resolved, attempts, actor, correlation_id, causation_id,
    traceparent
"""
_START: Final = f"""
UPDATE build
SET status = 'running', started_at = coalesce(started_at, now()), attempts = attempts + 1
WHERE id = (
    SELECT id FROM build AS due
    WHERE status IN ('queued', 'running') AND id <> ALL ($1::text[]::uuid[]) AND due_at <= now()
        AND cancel_asked_by IS NULL AND org_id <> ALL ($2::text[]::uuid[])
        AND (awaited_by <> 'nobody' OR NOT $3)
        AND NOT EXISTS (
            SELECT FROM build AS same
            WHERE same.id = ANY ($1::text[]::uuid[])
                AND (same.turn = due.turn
                    OR (same.org_id, same.kind, same.bento_digest, same.models)
                        = (due.org_id, due.kind, due.bento_digest, due.models))
        )
    ORDER BY awaited_by = 'nobody' AND created_at > now() - interval '15 minutes', (
            SELECT count(*) FROM build AS other
            WHERE other.id = ANY ($1::text[]::uuid[]) AND other.org_id = due.org_id
        ), awaited_by <> 'deployment', id
    LIMIT 1
)
RETURNING {ORDER}
"""  # noqa: S608  # a constant
_PUT_OFF: Final = """
UPDATE build SET status = 'queued', due_at = now() + $2::interval
WHERE id = $1 AND status = 'running'
"""
_TAKE_TURN: Final = "UPDATE build SET turn = $2 WHERE id = $1"
_STEP_BACK: Final = """
UPDATE build SET status = 'queued', attempts = attempts - 1 WHERE id = $1 AND status = 'running'
"""
_RESOLVED: Final = "UPDATE build SET models = $2::text::jsonb, resolved = true WHERE id = $1"
_CLAIM: Final = "UPDATE build SET environment_digest = $2, image_digest = $3 WHERE id = $1"
_PLANNED: Final = """
UPDATE build SET strategy = $2, why = $3::text::jsonb, plan_digest = $4, plan = $5::text::jsonb
WHERE id = $1
"""
_STEPS: Final = "UPDATE build SET steps = $2::text::jsonb WHERE id = $1"
_BUILT: Final = """
UPDATE build SET status = 'built', image_digest = $2, uri = $3, reused = $4, seconds = $5,
    ended_at = now(),
    attest = CASE WHEN kind = 'oci' AND NOT $4 AND strategy <> 'prebuilt' THEN 'due' ELSE 'none' END
WHERE id = $1 AND status = 'running' RETURNING strategy, plan_digest, reason
"""
_FAILED: Final = """
UPDATE build SET status = 'failed', code = $2, reason = $3, ended_at = now()
WHERE id = $1 AND status = 'running' RETURNING strategy, plan_digest, reason
"""
_CANCEL: Final = f"""
UPDATE build SET cancel_asked_by = coalesce(cancel_asked_by, $3)
WHERE org_id = $1 AND id = $2 AND status IN ('queued', 'running') RETURNING status, {ORDER}
"""  # noqa: S608  # a constant
_UNWANTED: Final = f"""
SELECT {ORDER} FROM build
WHERE cancel_asked_by IS NOT NULL AND status IN ('queued', 'running') ORDER BY id
"""  # noqa: S608  # a constant
_CANCELLED: Final = """
UPDATE build SET status = 'cancelled', code = 'build-cancelled',
    reason = 'cancelled by ' || cancel_asked_by, ended_at = now()
WHERE id = $1 AND status IN ('queued', 'running') AND cancel_asked_by IS NOT NULL
RETURNING strategy, plan_digest, reason
"""
_VIEW: Final = """
SELECT id, kind, status, repository || ':' || version AS bento, revision_id, strategy, why,
    plan_digest, image_digest, uri, reused, seconds, steps, code, reason, attempts,
    CASE WHEN status = 'queued' THEN due_at END AS due_at, created_at, started_at, ended_at
FROM build WHERE org_id = $1
"""
_ONE: Final = f"{_VIEW} AND id = $2"
_NEWEST: Final = f"""{_VIEW}
    AND ($2 = '' OR repository = $2) AND ($3 = '' OR version = $3)
    AND ($4 = '' OR status = $4) AND ($5 = '' OR kind = $5)
    AND ($6::uuid IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7
"""

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
            order.awaited_by,
            order.resolved,
            origin.actor,
            origin.correlation_id,
            origin.causation_id,
            origin.traceparent,
        )

    async def advance(self, build_id: UUID) -> int:
        """The number of the build's next event; locks its row."""
        return int(await self._connection.fetchval(_ADVANCE, build_id))

    async def start(
        self, besides: Collection[UUID], *, full: Collection[UUID], awaited: bool
    ) -> Order | None:
        """The next that is due and has no end, also where its worker died.

        None of ``besides``, nor what would be made of the same as one of them; none of an
        organisation that is ``full``; only what is ``awaited`` if so.
        """
        row = await self._connection.fetchrow(_START, texts(besides), texts(full), awaited)
        return None if row is None else order_of(dict(row))

    async def cancel(self, org_id: UUID, build_id: UUID, actor: str) -> tuple[str, Order] | None:
        """Mark one that has no end; its status, and what it is. None where there is none."""
        row = await self._connection.fetchrow(_CANCEL, org_id, build_id, actor)
        if row is None:
            return None
        given = dict(row)
        return given.pop("status"), order_of(given)

    async def unwanted(self) -> Sequence[Order]:
        """Those that are marked and have no end."""
        return [order_of(dict(row)) for row in await self._connection.fetch(_UNWANTED)]

    async def put_off(self, build_id: UUID, pause: timedelta) -> None:
        await self._connection.execute(_PUT_OFF, build_id, pause)

    async def take_turn(self, build_id: UUID, turn: str) -> None:
        await self._connection.execute(_TAKE_TURN, build_id, turn)

    async def step_back(self, build_id: UUID) -> None:
        await self._connection.execute(_STEP_BACK, build_id)

    async def resolved(self, build_id: UUID, models: Sequence[Model]) -> None:
        await self._connection.execute(_RESOLVED, build_id, to_json(list(models)).decode())

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

    async def built(self, build_id: UUID, image: Image, seconds: float) -> Ended | None:
        """None when it has another end; so of the next two."""
        return await self._ended(_BUILT, build_id, image.digest, image.uri, image.reused, seconds)

    async def failed(self, build_id: UUID, code: str, reason: str) -> Ended | None:
        return await self._ended(_FAILED, build_id, code, reason)

    async def cancelled(self, build_id: UUID) -> Ended | None:
        """Only one that is marked."""
        return await self._ended(_CANCELLED, build_id)

    async def _ended(self, query: str, *given: object) -> Ended | None:
        row = await self._connection.fetchrow(query, *given)
        return None if row is None else Ended(**dict(row))

    async def one(self, org_id: UUID, build_id: UUID) -> BuildView | None:
        row = await self._connection.fetchrow(_ONE, org_id, build_id)
        return _view(row) if row is not None else None

    async def newest(
        self, org_id: UUID, sought: Sought, *, before: UUID | None, count: int
    ) -> Sequence[BuildView]:
        row = (sought.repository, sought.version, sought.status, sought.kind, before, count)
        return [_view(each) for each in await self._connection.fetch(_NEWEST, org_id, *row)]


def order_of(given: dict[str, Any]) -> Order:
    origin = Origin(**{name: given.pop(name) for name in Origin.__slots__})
    models = _MODELS.validate_json(given.pop("models"))
    wish = _WISH.validate_json(given.pop("wish"))
    return Order(**given, models=models, wish=wish, origin=origin)


def _view(row: asyncpg.Record) -> BuildView:
    given: dict[str, Any] = dict(row)
    why, steps = tuple(from_json(given.pop("why"))), _STEPS_OF.validate_json(given.pop("steps"))
    return BuildView(**given, why=why, steps=steps)
