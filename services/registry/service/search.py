"""Versions by what their manifests say."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from libs.chassis.pagination import CursorInvalidError, cursor_of, keys_in
from libs.chassis.postgres import Database
from services.registry.domain import Kind, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.query import QueryError, compile_query, keys_of, parse
from services.registry.service.tx import Tx
from services.registry.store import FIRST_VALUE

_BATCH: Final = 200
_MARK: Final = 12
"""Characters that tell one query's cursors from another's."""


@dataclass(frozen=True, slots=True)
class Found:
    """With the size of each one's bytes. ``next``: the cursor of the page behind this one."""

    items: list[tuple[Repository, Version, int]]
    next: str | None


class Search:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def find(self, org_id: UUID, kind: Kind, text: str, *, cursor: str, count: int) -> Found:
        """Versions that were uploaded. Raises ``QueryRefusedError`` with the place in ``text``."""
        mark = sha256(f"{kind} {text}".encode()).hexdigest()[:_MARK]
        try:
            query = parse(text)
            after = _after(cursor, mark, keys_of(query)) if cursor else ()
            compiled = compile_query(query, first=FIRST_VALUE, after=after)
        except QueryError as error:
            raise QueryRefusedError(str(error), at=error.at) from error
        async with self._database.read() as tx:
            found = await tx.facts.search(org_id, kind, compiled, count=count + 1)
        shown = found[:count]
        behind = cursor_of([mark, *shown[-1][3]]) if len(found) > count else None
        return Found([each[:3] for each in shown], behind)

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


def _after(cursor: str, mark: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    of, *keys = keys_in(cursor, (str, *kinds))
    if of != mark:
        raise CursorInvalidError
    return tuple(keys)
