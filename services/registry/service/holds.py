"""What the deployer needs stays; what nobody speaks for any more is asked about."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.chassis.context import Cause, bound
from libs.chassis.errors import ServiceError
from libs.chassis.postgres import Database
from services.registry.errors import VersionNotFoundError
from services.registry.service.tx import Tx

STALE_AFTER: Final = timedelta(hours=24)
_BATCH: Final = 100
_log = structlog.get_logger()


class Revisions(Protocol):
    """The deployer, as far as it is needed here."""

    async def exists(self, revision_id: UUID, org_id: UUID) -> bool: ...


class Holds:
    """Idempotent by revision."""

    def __init__(
        self, database: Database[Tx], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def take(
        self, org_id: UUID, revision_id: UUID, *, bento_id: UUID, deployment: str
    ) -> None:
        """The bento and its models stay, even in the trash. Taken again it is renewed."""
        async with self._database.transaction() as tx:
            needed = await tx.holds.needed(org_id, bento_id)
            if bento_id not in {version_id for version_id, _ in needed}:
                raise VersionNotFoundError(f"there is no bento {bento_id} any more")
            for version in needed:
                await tx.holds.hold(
                    revision_id, org_id, version=version, deployment=deployment, now=self._clock()
                )

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.release(org_id, revision_id)

    async def ask_about_stale(self, revisions: Revisions) -> int:
        """Remove those of which the deployer says that there is no such revision; how many.

        No hold ends by itself: a deployer that is away for a month keeps everything.
        """
        now, removed = self._clock(), 0
        async with self._database.read() as tx:
            stale = await tx.holds.stale(now - STALE_AFTER, count=_BATCH)
        for revision_id, org_id in stale:
            try:
                with bound(Cause("service:registry", org_id, correlation_id=f"hold {revision_id}")):
                    exists = await revisions.exists(revision_id, org_id)
            except ServiceError as error:
                _log.warning("hold.unclear", revision_id=str(revision_id), reason=error.detail)
                break
            async with self._database.transaction() as tx:
                if exists:
                    await tx.holds.renew(revision_id, now)
                else:
                    await tx.holds.release(org_id, revision_id)
                    removed += 1
        return removed
