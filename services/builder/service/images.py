"""Complete images, who needs them, and what is removed when nobody does."""

from uuid import UUID

from libs.chassis.postgres import Database
from services.builder.domain import Pruned
from services.builder.environments import Folders
from services.builder.errors import ImageGoneError
from services.builder.service.tx import Tx


class Images:
    def __init__(self, database: Database[Tx], folders: Folders) -> None:
        self._database = database
        self._folders = folders

    async def hold(self, org_id: UUID, revision_id: UUID, digest: str) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            there = self._folders.has_image(digest) or self._folders.has_unpacked(digest)
            if not there or not await tx.holds.owned(org_id, digest):
                raise ImageGoneError(digest)
            await tx.holds.hold(org_id, revision_id, digest)

    async def release(self, org_id: UUID, revision_id: UUID) -> None:
        async with self._database.transaction() as tx:
            await tx.holds.release(org_id, revision_id)

    async def prune(self, org_id: UUID) -> Pruned:
        """Set aside what the organisation built and nobody needs, then remove it.

        An environment that another organisation's image is made of stays.
        """
        async with self._database.transaction() as tx:
            await tx.holds.alone()
            unneeded = await tx.holds.built_by(org_id) - await tx.holds.kept(org_id)
            gone = self._folders.set_aside(unneeded)
        return Pruned(tuple(gone), await self._folders.empty_trash())
