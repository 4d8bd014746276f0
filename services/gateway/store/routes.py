"""The route table and its versions."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection, texts
from services.gateway.domain import Route, State

_COLUMNS: Final = """
    deployment_id, org_id, namespace, deployment, state, generation, reason,
    access_authorization, upstreams, version, fact_epoch, fact_seq
"""
_LOCK: Final = "SELECT version FROM route_table FOR UPDATE"
_VERSION: Final = "SELECT version FROM route_table"
_NEXT_VERSION: Final = "UPDATE route_table SET version = version + 1 RETURNING version"
_GET: Final = f"SELECT {_COLUMNS} FROM route WHERE deployment_id = $1"  # noqa: S608  # a constant
_ALL: Final = f"SELECT {_COLUMNS} FROM route"  # noqa: S608  # a constant
_BEGIN: Final = "UPDATE route_table SET version = 1 WHERE version = 0"
_SINCE: Final = f"SELECT {_COLUMNS} FROM route WHERE version > $1"  # noqa: S608  # a constant
_PUT: Final = """
    INSERT INTO route (
        deployment_id, org_id, namespace, deployment, state, generation, reason,
        access_authorization, upstreams, version, fact_epoch, fact_seq,
        cause_event, correlation_id, traceparent
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT ON CONSTRAINT route_pkey DO UPDATE SET
        org_id = excluded.org_id,
        namespace = excluded.namespace,
        deployment = excluded.deployment,
        state = excluded.state,
        generation = excluded.generation,
        reason = excluded.reason,
        access_authorization = excluded.access_authorization,
        upstreams = excluded.upstreams,
        version = excluded.version,
        fact_epoch = excluded.fact_epoch,
        fact_seq = excluded.fact_seq,
        cause_event = excluded.cause_event,
        correlation_id = excluded.correlation_id,
        traceparent = excluded.traceparent,
        updated_at = now()
"""
_SEEN: Final = "UPDATE route SET fact_epoch = $2, fact_seq = $3 WHERE deployment_id = $1"
_UNAPPLIED: Final = """
    SELECT deployment_id, org_id, generation, cause_event, correlation_id, traceparent
    FROM route
    WHERE applied_generation < generation AND version <= $1
    ORDER BY version
    LIMIT 100
"""
_APPLY: Final = """
    UPDATE route SET applied_generation = $2
    WHERE deployment_id = $1 AND generation = $2 AND applied_generation < $2
    RETURNING true
"""
_GONE: Final = f"""
    SELECT {_COLUMNS} FROM route
    WHERE state <> 'deleted' AND version <= $1 AND deployment_id <> ALL ($2::text[]::uuid[])
"""  # noqa: S608  # a constant
_FORGET: Final = "DELETE FROM route WHERE state = 'deleted' AND updated_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class Origin:
    """The fact behind a change: what ``route.applied`` will name as its cause."""

    event_id: UUID | None = None
    correlation_id: str = ""
    traceparent: str | None = None
    epoch: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """A route, the table's version that brought it, and the newest fact it heeds."""

    route: Route
    version: int
    fact: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A generation that every data plane serves and nobody has said so."""

    deployment_id: UUID
    org_id: UUID
    generation: int
    origin: Origin


class RouteStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self) -> None:
        """One writer at a time: versions become visible in their order."""
        await self._connection.execute(_LOCK)

    async def version(self) -> int:
        found: int = await self._connection.fetchval(_VERSION)
        return found

    async def get(self, deployment_id: UUID) -> StoredRoute | None:
        row = await self._connection.fetchrow(_GET, deployment_id)
        return _stored(row) if row is not None else None

    async def all(self) -> list[StoredRoute]:
        return [_stored(row) for row in await self._connection.fetch(_ALL)]

    async def since(self, version: int) -> list[StoredRoute]:
        return [_stored(row) for row in await self._connection.fetch(_SINCE, version)]

    async def begin(self) -> None:
        """The table is known, even if nothing is in it."""
        await self._connection.execute(_BEGIN)

    async def put(self, route: Route, origin: Origin) -> int:
        """Store ``route`` under a new version of the table, which is returned."""
        version: int = await self._connection.fetchval(_NEXT_VERSION)
        await self._connection.execute(
            _PUT,
            route.deployment_id,
            route.org_id,
            route.namespace,
            route.deployment,
            route.state.value,
            route.generation,
            route.reason,
            route.access_authorization,
            list(route.upstreams),
            version,
            origin.epoch,
            origin.seq,
            origin.event_id,
            origin.correlation_id,
            origin.traceparent,
        )
        return version

    async def heed(self, deployment_id: UUID, origin: Origin) -> None:
        """Remember a fact that changed nothing, so that older ones are known to be stale."""
        await self._connection.execute(_SEEN, deployment_id, origin.epoch, origin.seq)

    async def unapplied(self, version: int) -> list[Unapplied]:
        """What became visible by ``version`` and was not said to be applied, oldest first."""
        return [
            Unapplied(
                row["deployment_id"],
                row["org_id"],
                row["generation"],
                Origin(row["cause_event"], row["correlation_id"], row["traceparent"]),
            )
            for row in await self._connection.fetch(_UNAPPLIED, version)
        ]

    async def apply(self, deployment_id: UUID, generation: int) -> bool:
        """Claim to say that ``generation`` is applied; True for one claimer only."""
        claimed = await self._connection.fetchval(_APPLY, deployment_id, generation)
        return claimed is not None

    async def forget(self, older_than: timedelta) -> None:
        """Drop tombstones that no fact can come late for any more."""
        await self._connection.execute(_FORGET, older_than)

    async def gone(self, present: Collection[UUID], *, until: int) -> list[StoredRoute]:
        """Routes of no deployment in ``present`` that have not changed since ``until``."""
        return [_stored(row) for row in await self._connection.fetch(_GONE, until, texts(present))]


def _stored(row: asyncpg.Record) -> StoredRoute:
    route = Route(
        deployment_id=row["deployment_id"],
        org_id=row["org_id"],
        namespace=row["namespace"],
        deployment=row["deployment"],
        state=State(row["state"]),
        generation=row["generation"],
        reason=row["reason"],
        access_authorization=row["access_authorization"],
        upstreams=tuple(row["upstreams"]),
    )
    return StoredRoute(route, row["version"], (row["fact_epoch"], row["fact_seq"]))
