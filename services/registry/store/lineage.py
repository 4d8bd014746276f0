"""What was made of what, and which packages are in what."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from libs.chassis.postgres import Connection
from services.registry.difference import packages_of
from services.registry.domain import Edge, Node, Version, sources_of

_FORGET: Final = """
    DELETE FROM edge WHERE version_id = $1 AND child_kind IN ('model', 'bento')
"""
_ADD: Final = """
    INSERT INTO edge (org_id, parent_kind, parent, child_kind, child, version_id)
    SELECT v.org_id, source.kind, source.name, r.kind, r.name || ':' || v.version, v.id
    FROM version v JOIN repository r ON r.id = v.repository_id,
         unnest($2::text[], $3::text[]) AS source (kind, name)
    WHERE v.id = $1
    ON CONFLICT DO NOTHING
"""
_BUILT: Final = """
    INSERT INTO edge (org_id, parent_kind, parent, child_kind, child, version_id)
    SELECT v.org_id, r.kind, r.name || ':' || v.version, 'build', $2, v.id
    FROM version v JOIN repository r ON r.id = v.repository_id WHERE v.id = $1
    ON CONFLICT DO NOTHING
"""
_ASKED: Final = """
    INSERT INTO edge (org_id, parent_kind, parent, child_kind, child, version_id)
    SELECT v.org_id, 'build', $2, 'revision', $3, v.id FROM version v WHERE v.id = $1
    ON CONFLICT DO NOTHING
"""
_PARENTS: Final = """
    SELECT parent_kind, parent, child_kind, child
    FROM edge JOIN unnest($2::text[], $3::text[]) AS known (kind, name)
        ON child_kind = known.kind AND child = known.name
    WHERE org_id = $1 ORDER BY 1, 2, 3, 4 LIMIT $4
"""
_CHILDREN: Final = """
    SELECT parent_kind, parent, child_kind, child
    FROM edge JOIN unnest($2::text[], $3::text[]) AS known (kind, name)
        ON parent_kind = known.kind AND parent = known.name
    WHERE org_id = $1 ORDER BY 1, 2, 3, 4 LIMIT $4
"""
_FORGET_PACKAGES: Final = "DELETE FROM package WHERE version_id = $1"
_ADD_PACKAGES: Final = """
    INSERT INTO package (version_id, name, version)
    SELECT $1, * FROM unnest($2::text[], $3::text[])
"""
_WITH_PACKAGE: Final = """
    SELECT r.name AS bento, v.version AS bento_version, p.version
    FROM package p JOIN version v ON v.id = p.version_id JOIN repository r ON r.id = v.repository_id
    WHERE p.name = $2 AND v.org_id = $1 AND v.deleted_at IS NULL
    ORDER BY v.created_at DESC, v.id DESC LIMIT $3
"""


class LineageRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, version: Version) -> None:
        """What the manifest and the labels name as its origins, and the packages of its lock."""
        await self._connection.execute(_FORGET, version.id)
        sources = sources_of(version)
        kinds, names = [each.kind for each in sources], [each.name for each in sources]
        await self._connection.execute(_ADD, version.id, kinds, names)
        if version.lock:  # else those that its archive named stay
            await self.put_packages(version.id, version.lock)

    async def put_packages(self, version_id: UUID, lock: str) -> None:
        """In place of those that there were."""
        await self._connection.execute(_FORGET_PACKAGES, version_id)
        packages = packages_of(lock)
        found = list(packages), list(packages.values())
        await self._connection.execute(_ADD_PACKAGES, version_id, *found)

    async def built(self, bento_id: UUID, digest: str, revision_id: UUID | None) -> None:
        await self._connection.execute(_BUILT, bento_id, digest)
        if revision_id is not None:
            await self._connection.execute(_ASKED, bento_id, digest, str(revision_id))

    async def beside(
        self, org_id: UUID, nodes: Iterable[Node], *, upwards: bool, count: int
    ) -> list[Edge]:
        """Edges one step from any of ``nodes``: to what they are made of, or the other way."""
        known = list(nodes)
        rows = await self._connection.fetch(
            _PARENTS if upwards else _CHILDREN,
            org_id,
            [each.kind for each in known],
            [each.name for each in known],
            count,
        )
        return [
            Edge(Node(row["parent_kind"], row["parent"]), Node(row["child_kind"], row["child"]))
            for row in rows
        ]

    async def with_package(
        self, org_id: UUID, name: str, *, count: int
    ) -> Sequence[tuple[str, str, str]]:
        """Bento, its version, and which version of the package is in it; newest first."""
        rows = await self._connection.fetch(_WITH_PACKAGE, org_id, name, count)
        return [(row["bento"], row["bento_version"], row["version"]) for row in rows]
