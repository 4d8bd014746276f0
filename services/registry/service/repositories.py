"""Repositories: made, described, listed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.contracts.identity import Person
from services.registry.domain import Kind, Repository, Version
from services.registry.service.tx import Tx
from services.registry.store import Sizes

_LATEST = 3


@dataclass(frozen=True, slots=True)
class Shelf:
    """A repository as lists show it; ``latest`` begins with the newest."""

    repository: Repository
    sizes: Sizes
    latest: Sequence[Version]


class Repositories:
    def __init__(
        self, database: Database[Tx], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        org_id: UUID,
        kind: Kind,
        *,
        name: str,
        description: str,
        creator: Person,
        labels: tuple[tuple[str, str], ...] = (),
    ) -> Repository:
        """Idempotent by name: two clients may race, and both get the one."""
        now = self._clock()
        made = Repository(uuid7(), org_id, kind, name, description, now, creator, labels)
        async with self._database.transaction() as tx:
            await tx.store.add_repository(made)
            return await tx.store.repository(org_id, kind, name) or made

    async def revise(
        self,
        repository: Repository,
        *,
        description: str | None,
        labels: dict[str, str] | None,
    ) -> Repository:
        """None keeps what is there; labels are replaced as a whole."""
        async with self._database.transaction() as tx:
            return await tx.repositories.revise(
                repository.id, description=description, labels=labels
            )

    async def page(
        self, org_id: UUID, kind: Kind, *, search: str | None, start: int, count: int
    ) -> tuple[int, list[Shelf]]:
        """Total and one page, newest first."""
        async with self._database.read() as tx:
            total, found = await tx.repositories.page(
                org_id, kind, search=search, start=start, count=count
            )
            return total, await _shelves(tx, found)

    async def shelf(self, repository: Repository) -> Shelf:
        async with self._database.read() as tx:
            return (await _shelves(tx, [repository]))[0]

    async def labels(
        self, org_id: UUID, kind: str, *, of_repositories: bool
    ) -> list[dict[str, Any]]:
        """Every key with the values that it has."""
        async with self._database.read() as tx:
            return await tx.repositories.labels(org_id, kind, of_repositories=of_repositories)

    async def modules(self, org_id: UUID) -> list[str]:
        """What models were saved with."""
        async with self._database.read() as tx:
            return await tx.repositories.modules(org_id)


async def _shelves(tx: Tx, repositories: Sequence[Repository]) -> list[Shelf]:
    ids = [each.id for each in repositories]
    sizes = await tx.repositories.sizes(ids)
    latest = await tx.repositories.latest(ids, count=_LATEST)
    return [
        Shelf(each, sizes.get(each.id, Sizes(0, 0, 0)), latest.get(each.id, []))
        for each in repositories
    ]
