"""Images: manifests, the tags that point to them, and what refers to what."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from libs.chassis.postgres import Connection
from services.registry.domain import Place
from services.registry.manifests import Manifest

_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 9))"
_MANIFEST: Final = """
    SELECT digest, media_type, content FROM oci_manifest
    WHERE org_id = $1 AND repository = $2 AND digest = $3
"""
_TAGGED: Final = "SELECT digest FROM oci_tag WHERE org_id = $1 AND repository = $2 AND name = $3"
_HELD_BLOBS: Final = """
    SELECT asked.digest FROM unnest($3::text[]) AS asked (digest)
    LEFT JOIN oci_digest AS known ON known.org_id = $1 AND known.digest = asked.digest
    JOIN oci_blob AS linked ON linked.org_id = $1 AND linked.repository = $2
        AND linked.digest = coalesce(known.blob, asked.digest)
    ORDER BY linked.digest FOR KEY SHARE OF linked
"""
_HELD_MANIFESTS: Final = """
    SELECT digest FROM oci_manifest
    WHERE org_id = $1 AND repository = $2 AND digest = ANY ($3::text[])
    ORDER BY digest FOR KEY SHARE
"""
_ADD: Final = """
    INSERT INTO oci_manifest (
        org_id, repository, digest, media_type, artifact_type, subject, descriptor, content
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_ADD_EDGES: Final = """
    INSERT INTO oci_edge
    SELECT DISTINCT $1::uuid, $2::text, $3::text, linked.digest
    FROM unnest($4::text[]) AS asked (digest)
    LEFT JOIN oci_digest AS known ON known.org_id = $1 AND known.digest = asked.digest
    JOIN oci_blob AS linked ON linked.org_id = $1 AND linked.repository = $2
        AND linked.digest = coalesce(known.blob, asked.digest)
"""
_REMOVE: Final = """
    DELETE FROM oci_manifest WHERE org_id = $1 AND repository = $2 AND digest = $3
    RETURNING length(content)
"""
_MOVE_TAG: Final = """
    INSERT INTO oci_tag VALUES ($1, $2, $3, $4)
    ON CONFLICT (org_id, repository, name) DO UPDATE SET digest = excluded.digest
"""
_REMOVE_TAG: Final = "DELETE FROM oci_tag WHERE org_id = $1 AND repository = $2 AND name = $3"
_TAGS_OF: Final = """
    SELECT name FROM oci_tag WHERE org_id = $1 AND repository = $2 AND digest = $3 ORDER BY name
"""
_TAGS: Final = """
    SELECT name FROM oci_tag WHERE org_id = $1 AND repository = $2 AND name > $3
    ORDER BY name LIMIT $4
"""
_EXISTS: Final = """
    SELECT EXISTS (SELECT FROM oci_manifest WHERE org_id = $1 AND repository = $2)
        OR EXISTS (SELECT FROM oci_blob WHERE org_id = $1 AND repository = $2)
"""
_REFERRERS: Final = """
    SELECT descriptor FROM (
        SELECT digest, descriptor, row_number() OVER sorted AS place,
               sum(octet_length(descriptor)) OVER sorted AS size
        FROM oci_manifest
        WHERE org_id = $1 AND repository = $2 AND subject = $3 AND digest > $4
            AND ($5::text IS NULL OR artifact_type = $5)
        WINDOW sorted AS (ORDER BY digest)
    ) AS listed
    WHERE place = 1 OR (place <= $6 AND size <= $7) ORDER BY digest
"""
_PATTERNS: Final = "SELECT patterns FROM oci_rule WHERE org_id = $1 AND repository = $2"
_RULE: Final = """
    INSERT INTO oci_rule VALUES ($1, $2, $3)
    ON CONFLICT (org_id, repository) DO UPDATE SET patterns = excluded.patterns
"""


class ManifestStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alone(self, place: Place) -> None:
        """Until the end of the transaction nobody else changes tags, manifests or rules here."""
        await self._connection.execute(_ALONE, f"{place.org_id} {place.repository}")

    async def one(self, place: Place, digest: str) -> Manifest | None:
        """Without what only a manifest that is being sent has."""
        row = await self._connection.fetchrow(_MANIFEST, *_key(place), digest)
        return Manifest(**row) if row else None

    async def tagged(self, place: Place, tag: str) -> str | None:
        """The digest that the tag points to."""
        found: str | None = await self._connection.fetchval(_TAGGED, *_key(place), tag)
        return found

    async def held(
        self, place: Place, *, blobs: Collection[str], manifests: Collection[str]
    ) -> set[str]:
        """Which of them are here; those stay until the end of the transaction."""
        found = await self._connection.fetch(_HELD_BLOBS, *_key(place), list(blobs))
        nested = await self._connection.fetch(_HELD_MANIFESTS, *_key(place), list(manifests))
        return {row["digest"] for row in (*found, *nested)}

    async def add(self, place: Place, manifest: Manifest) -> None:
        await self._connection.execute(
            _ADD,
            *_key(place),
            manifest.digest,
            manifest.media_type,
            manifest.artifact_type,
            manifest.subject,
            to_json(manifest.descriptor).decode(),
            manifest.content,
        )
        wanted = list(manifest.blobs | manifest.manifests)
        await self._connection.execute(_ADD_EDGES, *_key(place), manifest.digest, wanted)

    async def remove(self, place: Place, digest: str) -> int | None:
        """With its tags. How many bytes it had; None when there was nothing to remove."""
        size: int | None = await self._connection.fetchval(_REMOVE, *_key(place), digest)
        return size

    async def move_tag(self, place: Place, tag: str, digest: str) -> None:
        await self._connection.execute(_MOVE_TAG, *_key(place), tag, digest)

    async def remove_tag(self, place: Place, tag: str) -> None:
        await self._connection.execute(_REMOVE_TAG, *_key(place), tag)

    async def tags_of(self, place: Place, digest: str) -> list[str]:
        rows = await self._connection.fetch(_TAGS_OF, *_key(place), digest)
        return [row["name"] for row in rows]

    async def tags(self, place: Place, *, after: str, count: int) -> list[str]:
        """In the order of their bytes."""
        rows = await self._connection.fetch(_TAGS, *_key(place), after, count)
        return [row["name"] for row in rows]

    async def exists(self, place: Place) -> bool:
        return bool(await self._connection.fetchval(_EXISTS, *_key(place)))

    async def referrers(
        self, place: Place, subject: str, *, kind: str | None, after: str, count: int, size: int
    ) -> Sequence[dict[str, Any]]:
        """Descriptors by digest; as many as fit into ``count`` and ``size``, but one at least."""
        rows = await self._connection.fetch(
            _REFERRERS, *_key(place), subject, after, kind, count, size
        )
        return [from_json(row["descriptor"]) for row in rows]

    async def patterns(self, place: Place) -> list[str]:
        """Of tags that do not move."""
        return list(await self._connection.fetchval(_PATTERNS, *_key(place)) or ())

    async def rule(self, place: Place, patterns: Sequence[str]) -> None:
        await self._connection.execute(_RULE, *_key(place), list(patterns))


def _key(place: Place) -> tuple[UUID, str]:
    return place.org_id, place.repository
