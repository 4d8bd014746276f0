"""Versions by what their manifests say."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Database
from services.registry.domain import Kind, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.query import QueryError, compile_query, parse
from services.registry.service.tx import Tx
from services.registry.store import FIRST_VALUE

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """``more``: there are others behind these."""

    items: list[tuple[Repository, Version, int]]
    more: bool


class Search:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def find(self, org_id: UUID, kind: Kind, text: str, *, start: int, count: int) -> Found:
        """Versions that were uploaded. Raises ``QueryRefusedError`` with the place in ``text``."""
        try:
            compiled = compile_query(parse(text), first=FIRST_VALUE)
        except QueryError as error:
            raise QueryRefusedError(str(error), at=error.at) from error
        async with self._database.read() as tx:
            items = await tx.facts.search(org_id, kind, compiled, start=start, count=count + 1)
        return Found(items[:count], len(items) > count)

    async def describe_missing(self) -> int:
        """Note what versions say that were stored by older code; how many there were."""
        described = 0
        while True:
            async with self._database.transaction() as tx:
                versions = await tx.facts.lock_undescribed(_BATCH)
                for each in versions:
                    await tx.facts.put(each)
                    await tx.lineage.put(each)
            described += len(versions)
            if len(versions) < _BATCH:
                return described
