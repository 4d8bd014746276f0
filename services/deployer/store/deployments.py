"""Deployments and the namespaces they are in."""

import json
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.chassis.context import Cause
from libs.chassis.postgres import Connection
from libs.contracts.identity import Person
from services.deployer.domain.deployment import Deployment, Goal
from services.deployer.domain.names import Address
from services.deployer.store.rows import cause_of, dump, dump_cause

_SELECT = """
    SELECT id, org_id, org, cluster, namespace, name, goal, labels, creator, cause, generation,
    applied_generation, applied_at, routed_revision_id, upstreams, ended_at, created_at, updated_at
    FROM deployment
"""
_CLAIM_NAMESPACE = """
    INSERT INTO namespace (cluster, name, org_id) VALUES ($1, $2, $3)
    ON CONFLICT (cluster, name) DO NOTHING
"""
_NAMESPACE_OWNER = "SELECT org_id FROM namespace WHERE cluster = $1 AND name = $2"
_OTHER_ORG = "SELECT EXISTS (SELECT FROM namespace WHERE cluster = $1 AND org_id <> $2)"
_ADD = """
    INSERT INTO deployment (id, org_id, org, cluster, namespace, name, goal, labels, creator,
                            cause, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, 'run', $7, $8, $9, $10, $10)
    ON CONFLICT ON CONSTRAINT deployment_name_key DO NOTHING
    RETURNING id
"""
_FIND = f"{_SELECT} WHERE org_id = $1 AND cluster = $2 AND namespace = $3 AND name = $4"
_FIND_LOCKED = f"{_FIND} FOR UPDATE"
_GET = f"{_SELECT} WHERE id = $1"
_LOCK = f"{_GET} FOR UPDATE"
_OF_ORG = f"{_SELECT} WHERE org_id = $1 ORDER BY created_at DESC, id DESC"
_ALL = f"{_SELECT} ORDER BY created_at, id"
_ACTIVE = """
    SELECT id FROM deployment WHERE goal = 'run' OR goal = 'remove' OR ended_at IS NULL
"""
_ORGANISATIONS = """
    SELECT count(DISTINCT org_id) FROM deployment WHERE goal = 'run' OR ended_at IS NULL
"""
_ADVANCE = "UPDATE deployment SET version = version + 1 WHERE id = $1 RETURNING version"
_RELABEL = "UPDATE deployment SET labels = $2, updated_at = $3 WHERE id = $1"
_AIM = """
    UPDATE deployment
    SET goal = $2, cause = $3, updated_at = $4,
        ended_at = CASE WHEN $2 = 'run' THEN NULL ELSE ended_at END
    WHERE id = $1
"""
_ROUTE = """
    UPDATE deployment
    SET generation = generation + 1, routed_revision_id = $2, upstreams = $3, updated_at = $4
    WHERE id = $1 RETURNING generation
"""
_APPLIED = """
    UPDATE deployment SET applied_generation = $2, applied_at = $3, updated_at = $3
    WHERE id = $1 AND applied_generation < $2 AND generation >= $2
    RETURNING routed_revision_id
"""
_END = """
    UPDATE deployment
    SET generation = generation + 1, routed_revision_id = NULL, upstreams = '[]',
        ended_at = $2, updated_at = $2
    WHERE id = $1 RETURNING generation
"""
_REMOVE = "DELETE FROM deployment WHERE id = $1"


async def organisations(connection: Connection) -> int:
    """How many have something that runs, or is to run."""
    return int(await connection.fetchval(_ORGANISATIONS))


class DeploymentStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim_namespace(self, cluster: str, name: str, org_id: UUID) -> UUID:
        """Make it ``org_id``'s unless it is somebody's; whose it is."""
        await self._connection.execute(_CLAIM_NAMESPACE, cluster, name, org_id)
        owner: UUID = await self._connection.fetchval(_NAMESPACE_OWNER, cluster, name)
        return owner

    async def serves_another(self, cluster: str, org_id: UUID) -> bool:
        """Whether an organisation other than ``org_id`` has a namespace."""
        return bool(await self._connection.fetchval(_OTHER_ORG, cluster, org_id))

    async def add(self, deployment: Deployment) -> bool:
        """False when its name is taken."""
        added = await self._connection.fetchval(
            _ADD,
            deployment.id,
            deployment.org_id,
            deployment.org,
            deployment.cluster,
            deployment.address.namespace,
            deployment.address.name,
            dump(deployment.labels),
            deployment.creator.model_dump_json(),
            dump_cause(deployment.cause),
            deployment.created_at,
        )
        return added is not None

    async def find(
        self, org_id: UUID, cluster: str, address: Address, *, lock: bool = False
    ) -> Deployment | None:
        row = await self._connection.fetchrow(
            _FIND_LOCKED if lock else _FIND, org_id, cluster, address.namespace, address.name
        )
        return _deployment(row) if row else None

    async def get(self, deployment_id: UUID, *, lock: bool = False) -> Deployment | None:
        row = await self._connection.fetchrow(_LOCK if lock else _GET, deployment_id)
        return _deployment(row) if row else None

    async def of_org(self, org_id: UUID) -> list[Deployment]:
        """Newest first."""
        return [_deployment(row) for row in await self._connection.fetch(_OF_ORG, org_id)]

    async def all(self) -> list[Deployment]:
        """Oldest first."""
        return [_deployment(row) for row in await self._connection.fetch(_ALL)]

    async def active(self) -> set[UUID]:
        """Those for which there may be something to do."""
        return {row["id"] for row in await self._connection.fetch(_ACTIVE)}

    async def advance(self, deployment_id: UUID) -> int:
        """The next number in the order of its events; holds the row until commit."""
        return int(await self._connection.fetchval(_ADVANCE, deployment_id))

    async def relabel(
        self, deployment_id: UUID, labels: tuple[dict[str, str], ...], now: datetime
    ) -> None:
        await self._connection.execute(_RELABEL, deployment_id, dump(labels), now)

    async def aim(self, deployment_id: UUID, goal: Goal, cause: Cause, *, now: datetime) -> None:
        await self._connection.execute(_AIM, deployment_id, goal, dump_cause(cause), now)

    async def route(
        self, deployment_id: UUID, revision_id: UUID, upstreams: tuple[str, ...], *, now: datetime
    ) -> int:
        """The new generation."""
        return int(
            await self._connection.fetchval(
                _ROUTE, deployment_id, revision_id, dump(upstreams), now
            )
        )

    async def applied(self, deployment_id: UUID, generation: int, now: datetime) -> UUID | None:
        """The revision that is routed now, if ``generation`` is news."""
        found: UUID | None = await self._connection.fetchval(
            _APPLIED, deployment_id, generation, now
        )
        return found

    async def end(self, deployment_id: UUID, now: datetime) -> int:
        """Nothing runs and nothing is routed; the generation that says so."""
        return int(await self._connection.fetchval(_END, deployment_id, now))

    async def remove(self, deployment_id: UUID) -> None:
        """With its revisions and what they hold of anybody's secrets."""
        await self._connection.execute(_REMOVE, deployment_id)


def _deployment(row: asyncpg.Record) -> Deployment:
    return Deployment(
        id=row["id"],
        org_id=row["org_id"],
        org=row["org"],
        cluster=row["cluster"],
        address=Address(row["namespace"], row["name"]),
        goal=Goal(row["goal"]),
        labels=tuple(json.loads(row["labels"])),
        creator=Person.model_validate_json(row["creator"]),
        cause=cause_of(row["cause"]),
        generation=row["generation"],
        applied_generation=row["applied_generation"],
        applied_at=row["applied_at"],
        routed_revision_id=row["routed_revision_id"],
        upstreams=tuple(json.loads(row["upstreams"])),
        ended_at=row["ended_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
