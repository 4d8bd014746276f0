"""What a version is made of, and what is made of it: one hop."""

from uuid import UUID

from libs.chassis.postgres import Database
from services.registry.domain import Repository, Version
from services.registry.service.tx import Tx


class Lineage:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def models(self, bento: Version) -> list[tuple[Repository, Version]]:
        """Those of the bento's models that are here, newest first."""
        async with self._database.read() as tx:
            return await tx.facts.models_of(bento.org_id, bento.id)

    async def bentos(
        self, org_id: UUID, repository: str, version: str
    ) -> list[tuple[Repository, Version]]:
        """Bentos whose manifest names the model, newest first."""
        async with self._database.read() as tx:
            return await tx.facts.bentos_with(org_id, repository, version)
