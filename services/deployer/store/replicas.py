"""Places for processes, and their ports."""

from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection
from services.deployer.domain.deployment import Replica

_OF_DEPLOYMENT = """
    SELECT id, deployment_id, revision_id, service, position, port FROM replica
    WHERE deployment_id = $1 ORDER BY service, position
"""
_IDS = "SELECT id FROM replica"
_PORTS = "SELECT port FROM replica"
_PUT = """
    INSERT INTO replica (id, deployment_id, revision_id, service, position, port)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET port = excluded.port
"""
_REMOVE = "DELETE FROM replica WHERE id = $1"


class ReplicaStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(self, deployment_id: UUID) -> list[Replica]:
        rows = await self._connection.fetch(_OF_DEPLOYMENT, deployment_id)
        return [Replica(**dict(row)) for row in rows]

    async def ids(self) -> set[UUID]:
        return {row["id"] for row in await self._connection.fetch(_IDS)}

    async def ports(self) -> set[int]:
        """Those that belong to somebody."""
        return {row["port"] for row in await self._connection.fetch(_PORTS)}

    async def put(self, replica: Replica) -> bool:
        """False when its port was taken meanwhile."""
        try:
            await self._connection.execute(
                _PUT,
                replica.id,
                replica.deployment_id,
                replica.revision_id,
                replica.service,
                replica.position,
                replica.port,
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "replica_port_key":
                raise
            return False
        return True

    async def remove(self, replica_id: UUID) -> None:
        await self._connection.execute(_REMOVE, replica_id)
