"""Names that people give to versions, and move: each time only from where they think it is."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.contracts.registry import AliasMoved, AliasRemoved
from services.registry.domain import Alias, Move, Repository, Version
from services.registry.errors import AliasElsewhereError, AliasNotFoundError, VersionNotFoundError
from services.registry.service.tx import Tx

MayProtect = Callable[[], None]
"""Raises where the caller may not touch what is protected."""


class Aliases:
    def __init__(
        self, database: Database[Tx], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def move(
        self,
        repository: Repository,
        name: str,
        *,
        to: Version,
        expected: str | None,
        actor: str,
        may_protect: MayProtect,
    ) -> Alias:
        """Point ``name`` to ``to`` if it points to ``expected`` now (None: to nothing).

        Where it points to ``to`` already nothing happens: a repeated request is no error.
        """
        async with self._database.transaction() as tx:
            await tx.aliases.alone(repository.id)
            now = await tx.aliases.one(repository.id, name)
            if now is not None and now.version == to.version:
                return now
            _require(name, now, expected, may_protect=may_protect)
            if not await tx.trash.is_live(to.id):
                raise VersionNotFoundError(f"'{repository.name}:{to.version}' was deleted")
            at = self._clock()
            alias_id, seq = await tx.aliases.put(
                uuid7(), repository.id, name=name, version_id=to.id, now=at
            )
            before = now.version if now else None
            await tx.aliases.note(repository.id, Move(uuid7(), name, before, to.version, actor, at))
            event = _moved(repository, alias_id, name, before=before, after=to.version)
            await tx.outbox.append(event, entity_seq=seq, org_id=repository.org_id)
            return Alias(
                alias_id,
                repository.id,
                name,
                to.version,
                protected=now.protected if now else False,
                seq=seq,
                moved_at=at,
            )

    async def remove(
        self,
        repository: Repository,
        name: str,
        *,
        expected: str | None,
        actor: str,
        may_protect: MayProtect,
    ) -> None:
        async with self._database.transaction() as tx:
            await tx.aliases.alone(repository.id)
            now = await _there(tx, repository, name)
            _require(name, now, expected, may_protect=may_protect)
            await tx.aliases.remove(now.id)
            move = Move(uuid7(), name, now.version, None, actor, self._clock())
            await tx.aliases.note(repository.id, move)
            event = AliasRemoved(
                alias_id=now.id,
                kind=repository.kind,
                repository=repository.name,
                alias=name,
                before=now.version,
            )
            await tx.outbox.append(event, entity_seq=now.seq + 1, org_id=repository.org_id)

    async def protect(self, repository: Repository, name: str, *, protected: bool) -> Alias:
        async with self._database.transaction() as tx:
            await tx.aliases.alone(repository.id)
            await _there(tx, repository, name)
            await tx.aliases.protect(repository.id, name, protected=protected)
            return await _there(tx, repository, name)

    async def one(self, repository: Repository, name: str) -> Alias:
        async with self._database.read() as tx:
            return await _there(tx, repository, name)

    async def all(
        self, repository: Repository, *, after: str = "", count: int = 1000
    ) -> list[Alias]:
        """By name, those behind ``after``."""
        async with self._database.read() as tx:
            return await tx.aliases.all(repository.id, after=after, count=count)

    async def history(
        self, repository: Repository, name: str, *, before: UUID | None, count: int
    ) -> Sequence[Move]:
        async with self._database.read() as tx:
            return await tx.aliases.history(repository.id, name, before=before, count=count)


def _moved(
    repository: Repository, alias_id: UUID, name: str, *, before: str | None, after: str
) -> AliasMoved:
    return AliasMoved(
        alias_id=alias_id,
        kind=repository.kind,
        repository=repository.name,
        alias=name,
        before=before,
        after=after,
    )


async def _there(tx: Tx, repository: Repository, name: str) -> Alias:
    found = await tx.aliases.one(repository.id, name)
    if found is None:
        raise AliasNotFoundError(f"'{repository.name}' has no alias '{name}'")
    return found


def _require(
    name: str, now: Alias | None, expected: str | None, *, may_protect: MayProtect
) -> None:
    current = now.version if now else None
    if current != expected:
        raise AliasElsewhereError(name, current)
    if now is not None and now.protected:
        may_protect()
