"""What a version is made of, and what is made of it; and which packages are in what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from libs.chassis.postgres import Database
from services.registry.domain import Edge, Node, Repository, Version
from services.registry.errors import QueryRefusedError
from services.registry.service.tx import Tx

MOST_EDGES: Final = 5_000
_LOCKS: Final = 100_000
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Graph:
    """``truncated``: there is more, farther away."""

    edges: Sequence[Edge]
    truncated: bool


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

    async def graph(self, org_id: UUID, start: Node, *, upwards: bool, depth: int) -> Graph:
        """Everything within ``depth`` steps, near things first. A circle ends it, too."""
        seen, layer = {start}, {start}
        edges: dict[Edge, None] = {}
        async with self._database.read() as tx:
            for _ in range(depth):
                if not layer:
                    break
                room = MOST_EDGES - len(edges)
                found = await tx.lineage.beside(org_id, layer, upwards=upwards, count=room + 1)
                edges |= dict.fromkeys(found[:room])
                if len(found) > room:
                    return Graph(list(edges), truncated=True)
                layer = {each.parent if upwards else each.child for each in found} - seen
                seen |= layer
        return Graph(list(edges), truncated=bool(layer))

    async def with_package(
        self, org_id: UUID, name: str, specifier: str
    ) -> list[tuple[str, str, str]]:
        """Bento, its version, the package's; those that fit, newest first."""
        try:
            wanted = SpecifierSet(specifier, prereleases=True)
        except InvalidSpecifier as error:
            raise QueryRefusedError(f"'{specifier[:100]}' is no version specifier") from error
        async with self._database.read() as tx:
            known = await tx.lineage.with_package(org_id, canonicalize_name(name), count=_LOCKS)
        return [each for each in known if _fits(wanted, each[2])][:_LONGEST]


def _fits(wanted: SpecifierSet, version: str) -> bool:
    """What is not pinned fits only where anything does."""
    try:
        return wanted.contains(version)
    except InvalidVersion:
        return not wanted
