"""Organisations, users and tokens."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from libs.chassis.postgres import Connection
from services.gateway.domain import Identity, Org, User

_SERIALISE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('identity.bootstrap', 0))"
_ORG_ID: Final = "SELECT id FROM org WHERE name = $1"
_PERSON_ID: Final = "SELECT id FROM person WHERE name = $1"
_KNOWN: Final = "SELECT true FROM token WHERE digest = $1"
_ADD_ORG: Final = "INSERT INTO org (id, name) VALUES ($1, $2)"
_ADD_CLUSTER: Final = """
    INSERT INTO cluster (id, name) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT cluster_name_key DO NOTHING
"""
_ADD_NAMESPACE: Final = """
    INSERT INTO namespace (id, org_id, cluster_id, name)
    SELECT $1, $2, cluster.id, $3 FROM cluster WHERE cluster.name = $4
"""
_ADD_PERSON: Final = """
    INSERT INTO person (id, name, email, first_name, last_name) VALUES ($1, $2, $3, $4, $5)
"""
_ADD_MEMBER: Final = "INSERT INTO member (org_id, person_id) VALUES ($1, $2)"
_ADD_CREDENTIAL: Final = """
    INSERT INTO token (id, org_id, person_id, label, digest) VALUES ($1, $2, $3, $4, $5)
"""
_HOLDER: Final = """
    SELECT token.id AS token_id, token.expires_at,
           org.id AS org_id, org.name AS org_name, org.description,
           org.created_at AS org_created_at, org.updated_at AS org_updated_at,
           person.id AS person_id, person.name AS person_name, person.email,
           person.first_name, person.last_name,
           person.created_at AS person_created_at, person.updated_at AS person_updated_at
    FROM token
    JOIN org ON org.id = token.org_id
    JOIN person ON person.id = token.person_id
    WHERE token.digest = $1 AND token.revoked_at IS NULL
      AND (token.expires_at IS NULL OR token.expires_at > $2)
"""


class IdentityStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def serialise(self) -> None:
        """One bootstrap at a time, until the end of the transaction."""
        await self._connection.execute(_SERIALISE)

    async def org_id(self, name: str) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(_ORG_ID, name)
        return found

    async def user_id(self, name: str) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(_PERSON_ID, name)
        return found

    async def has_token(self, digest: bytes) -> bool:
        """Also when it was revoked: a file that still holds it does not bring it back."""
        return await self._connection.fetchval(_KNOWN, digest) is not None

    async def add_org(self, org_id: UUID, name: str) -> None:
        await self._connection.execute(_ADD_ORG, org_id, name)

    async def add_namespace(
        self, *, org_id: UUID, cluster_id: UUID, cluster: str, namespace_id: UUID, namespace: str
    ) -> None:
        """``cluster_id`` is used only when there is no cluster of that name yet."""
        await self._connection.execute(_ADD_CLUSTER, cluster_id, cluster)
        await self._connection.execute(_ADD_NAMESPACE, namespace_id, org_id, namespace, cluster)

    async def add_member(self, org_id: UUID, user: User) -> None:
        await self._connection.execute(
            _ADD_PERSON, user.id, user.name, user.email, user.first_name, user.last_name
        )
        await self._connection.execute(_ADD_MEMBER, org_id, user.id)

    async def add_token(
        self, token_id: UUID, *, org_id: UUID, user_id: UUID, label: str, digest: bytes
    ) -> None:
        await self._connection.execute(_ADD_CREDENTIAL, token_id, org_id, user_id, label, digest)

    async def holder(self, digest: bytes, *, now: datetime) -> Identity | None:
        """Who holds the token with this digest, if it is valid ``now``."""
        row = await self._connection.fetchrow(_HOLDER, digest, now)
        return _identity(row) if row is not None else None


def _identity(row: asyncpg.Record) -> Identity:
    return Identity(
        token_id=row["token_id"],
        expires_at=row["expires_at"],
        org=Org(
            id=row["org_id"],
            name=row["org_name"],
            description=row["description"],
            created_at=row["org_created_at"],
            updated_at=row["org_updated_at"],
        ),
        user=User(
            id=row["person_id"],
            name=row["person_name"],
            email=row["email"],
            first_name=row["first_name"],
            last_name=row["last_name"],
            created_at=row["person_created_at"],
            updated_at=row["person_updated_at"],
        ),
    )
