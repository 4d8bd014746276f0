"""Into the trash, out of it again, and the end of what stayed there."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from libs.chassis.postgres import Database
from services.registry.domain import Repository, Trashed, Upload, Version
from services.registry.errors import NotInTrashError, VersionExistsError, VersionHeldError
from services.registry.service.facts import deleted, purged, restored
from services.registry.service.tx import Tx
from services.registry.service.uploads import end_upload

GIVEN_UP: Final = "the version was deleted"
Reason = Literal["asked", "retention"]


class Deletion:
    """A version that anything needs is not deleted; one in the trash is kept ``undo`` long."""

    def __init__(
        self,
        database: Database[Tx],
        *,
        undo: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._undo = undo
        self._clock = clock

    async def delete(
        self, repository: Repository, version: Version, *, actor: str, reason: Reason = "asked"
    ) -> datetime:
        """Until when it can be brought back. Raises ``VersionHeldError``; idempotent."""
        async with self._database.transaction() as tx:
            await tx.aliases.alone(repository.id)
            await _require_free(tx, [version.id])
            return await self._trash(tx, repository, version.id, actor=actor, reason=reason)

    async def delete_repository(self, repository: Repository, *, actor: str) -> datetime:
        """All of its versions, or none. An empty repository is gone with its last version."""
        async with self._database.transaction() as tx:
            await tx.aliases.alone(repository.id)
            versions = await tx.trash.lock_live(repository.id)
            await _require_free(tx, versions)
            for each in versions:
                await self._trash(tx, repository, each, actor=actor, reason="asked")
            now = self._clock()
            await tx.trash.hide(repository.id, now)
            return now + self._undo

    async def undelete(self, org_id: UUID, kind: str, *, repository: str, version: str) -> None:
        """The one of that name that was deleted last, as it was."""
        async with self._database.transaction() as tx:
            found = await tx.trash.named(org_id, kind, repository=repository, version=version)
            if found is None:
                raise NotInTrashError(f"no {kind} '{repository}:{version}' is in the trash")
            await tx.aliases.alone(found.repository_id)
            if await tx.store.version(found.repository_id, version):
                raise VersionExistsError(
                    f"'{repository}:{version}' was pushed again meanwhile: delete that one first"
                )
            seq = await tx.trash.restore(found.id, self._clock())
            await tx.trash.show(found.repository_id)
            await tx.outbox.append(restored(found), entity_seq=seq or found.seq + 1)

    async def trash(
        self, org_id: UUID, kind: str | None, *, before: tuple[datetime, UUID] | None, count: int
    ) -> Sequence[Trashed]:
        """Newest first, those behind ``before``: when one was deleted, and its id."""
        async with self._database.read() as tx:
            return await tx.trash.all(org_id, kind, before=before, count=count)

    async def purge_one(self, *, org_id: UUID | None = None, early: bool = False) -> Trashed | None:
        """For good: one whose time is over (``early``: or not), that nothing holds."""
        now = self._clock()
        due = datetime.max.replace(tzinfo=UTC) if early else now
        async with self._database.transaction() as tx:
            found = await tx.trash.lock_due(due, org_id)
            if found is None or not await tx.trash.purge(found.id):
                return None
            if found.digest is not None:
                await tx.store.charge(found.org_id, reserved=0, committed=-found.size_bytes)
                await tx.trash.release(found.digest, org_id=found.org_id, now=now)
            await tx.outbox.append(purged(found), entity_seq=found.seq + 1, org_id=found.org_id)
            await tx.trash.forget_repositories()
            return found

    async def _trash(
        self, tx: Tx, repository: Repository, version_id: UUID, *, actor: str, reason: Reason
    ) -> datetime:
        now = self._clock()
        held = await tx.store.lock(version_id)
        if held.upload_status in {Upload.UPLOADING, Upload.VERIFYING}:
            await end_upload(tx, held, GIVEN_UP, now=now)
        until = now + self._undo
        seq = await tx.trash.delete(version_id, now=now, purge_at=until, actor=actor)
        if seq is not None:
            event = deleted(repository, held, until=until, reason=reason)
            await tx.outbox.append(event, entity_seq=seq, org_id=repository.org_id)
        return until


async def _require_free(tx: Tx, versions: Sequence[UUID]) -> None:
    if holders := await tx.trash.holders(versions):
        raise VersionHeldError([(each.kind, each.name) for each in holders])
