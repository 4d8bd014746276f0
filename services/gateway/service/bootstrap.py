"""The first start: an organisation, its administrator, and a token that was made beforehand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from libs.chassis import context
from libs.chassis.postgres import Database
from libs.contracts.gateway import TenantCreated, TokenCreated, UserCreated
from services.gateway.domain import TOKEN, User, digest_of
from services.gateway.errors import BootstrapTokenError
from services.gateway.service.tx import Tx

ORG: Final = "default"
CLUSTER: Final = "default"
NAMESPACE: Final = "default"
ADMIN: Final = "admin"
LABEL: Final = "bootstrap"

_log = structlog.get_logger()


class Bootstrap:
    def __init__(
        self, database: Database[Tx], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def ensure(self, token: str, *, source: str) -> None:
        """Make what is missing, with its events, in one transaction.

        Idempotent by the names and by the token's digest: a second start changes nothing, a
        token that was replaced in its file (``source``) becomes a second one.
        """
        if not TOKEN.fullmatch(token):
            raise BootstrapTokenError(source, f"a token is {TOKEN.pattern}")
        digest = digest_of(token)
        async with self._database.transaction() as tx:
            await tx.identities.serialise()
            org_id = await tx.identities.org_id(ORG)
            cause = context.Cause(
                actor="service:gateway",
                org_id=org_id or uuid7(),
                correlation_id=f"bootstrap-{uuid7()}",
            )
            with context.bound(cause):
                if org_id is None:
                    await self._add_org(tx, cause.org_id)
                user_id = await tx.identities.user_id(ADMIN)
                if user_id is None:
                    user_id = await self._add_admin(tx, cause.org_id)
                if not await tx.identities.has_token(digest):
                    await self._add_token(tx, org_id=cause.org_id, user_id=user_id, digest=digest)

    async def _add_org(self, tx: Tx, org_id: UUID) -> None:
        await tx.identities.add_org(org_id, ORG)
        await tx.identities.add_namespace(
            org_id=org_id,
            cluster_id=uuid7(),
            cluster=CLUSTER,
            namespace_id=uuid7(),
            namespace=NAMESPACE,
        )
        event = TenantCreated(org_id=org_id, org=ORG, cluster=CLUSTER, namespace=NAMESPACE)
        await tx.outbox.append(event, entity_seq=1)
        _log.info("tenant.created", org=ORG)

    async def _add_admin(self, tx: Tx, org_id: UUID) -> UUID:
        now = self._clock()
        user = User(
            id=uuid7(),
            name=ADMIN,
            email=f"{ADMIN}@localhost",
            first_name="Platform",
            last_name="Admin",
            created_at=now,
            updated_at=now,
        )
        await tx.identities.add_member(org_id, user)
        await tx.outbox.append(UserCreated(user_id=user.id, login=user.name), entity_seq=1)
        return user.id

    async def _add_token(self, tx: Tx, *, org_id: UUID, user_id: UUID, digest: bytes) -> None:
        token_id = uuid7()
        await tx.identities.add_token(
            token_id, org_id=org_id, user_id=user_id, label=LABEL, digest=digest
        )
        event = TokenCreated(token_id=token_id, user_id=user_id, label=LABEL)
        await tx.outbox.append(event, entity_seq=1)
        _log.info("token.created", label=LABEL)
