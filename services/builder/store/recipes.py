"""What builds find again: descriptions, locks, base images, layers and images, by their inputs."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

from libs.chassis.postgres import Connection
from services.builder.domain import BaseImage, Described, Layer, Made, PinnedBase

_KEEP_LOCK: Final = """
INSERT INTO requirements_lock (org_id, bento_digest, python, platform, body)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT body FROM requirements_lock
WHERE org_id = $1 AND bento_digest = $2 AND python = $3 AND platform = $4
"""
_KEEP_PINNED: Final = """
INSERT INTO pinned_lock (org_id, requirements, python, platform, body)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
_FORGET_LOCKS: Final = "DELETE FROM requirements_lock WHERE org_id = $1 AND bento_digest = $2"
_PINNED: Final = """
WITH used AS (
    UPDATE pinned_lock SET used_at = now()
    WHERE org_id = $1 AND requirements = $2 AND python = $3 AND platform = $4
      AND used_at < now() - interval '1 hour'
)
SELECT body FROM pinned_lock
WHERE org_id = $1 AND requirements = $2 AND python = $3 AND platform = $4
"""
"""Uses are noted by the hour: a commit that changes nothing waits for no disk."""
_DESCRIBED: Final = """
WITH used AS (
    UPDATE bento_description SET used_at = now()
    WHERE org_id = $1 AND digest = $2 AND used_at < now() - interval '1 hour'
)
SELECT body FROM bento_description WHERE org_id = $1 AND digest = $2
"""
_DESCRIBE: Final = """
INSERT INTO bento_description (org_id, digest, body) VALUES ($1, $2, $3::text::jsonb)
ON CONFLICT DO NOTHING
"""
_BASE: Final = """
SELECT body FROM base_image WHERE org_id = $1 AND reference = $2 AND platform = $3
"""
_BASES: Final = """
SELECT reference, platform, digest, source, pinned_at FROM base_image
WHERE org_id = $1 ORDER BY reference, platform
"""
_PIN: Final = """
INSERT INTO base_image (org_id, reference, platform, digest, body, source)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6)
ON CONFLICT (org_id, reference, platform) DO UPDATE
SET digest = excluded.digest, body = excluded.body, source = excluded.source, pinned_at = now()
"""
_UNPIN: Final = """
DELETE FROM base_image WHERE org_id = $1 AND reference = $2 RETURNING true
"""
_LAYERS: Final = """
WITH used AS (
    UPDATE layer_cache SET used_at = now()
    WHERE org_id = $1 AND key = $2 AND used_at < now() - interval '1 hour'
)
SELECT repository, layers FROM layer_cache WHERE org_id = $1 AND key = $2
"""
_KEEP_LAYERS: Final = """
INSERT INTO layer_cache (org_id, key, repository, layers) VALUES ($1, $2, $3, $4::text::jsonb)
ON CONFLICT (org_id, key) DO UPDATE
SET layers = excluded.layers, repository = excluded.repository, used_at = now()
"""
_IMAGE: Final = """
WITH used AS (
    UPDATE image SET used_at = now()
    WHERE org_id = $1 AND plan_digest = $2 AND used_at < now() - interval '1 hour'
)
SELECT digest, size_bytes, repository, tag, registry FROM image
WHERE org_id = $1 AND plan_digest = $2
"""
_KEEP_IMAGE: Final = """
INSERT INTO image (org_id, plan_digest, digest, size_bytes, repository, tag, registry)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (org_id, plan_digest) DO UPDATE SET digest = excluded.digest,
    size_bytes = excluded.size_bytes, repository = excluded.repository,
    tag = excluded.tag, registry = excluded.registry, made_at = now()
"""

_BASE_OF: Final = TypeAdapter(BaseImage)
_DESCRIBED_OF: Final = TypeAdapter(Described)
_LAYERS_OF: Final = TypeAdapter(tuple[Layer, ...])

LockKey = tuple[UUID, str, str, str]
"""Organisation, digest (of a bento, or of pinned requirements), Python, platform."""


class RecipeStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep_lock(self, key: LockKey, body: str) -> str:
        """The lock that counts: the first one stored under ``key``."""
        await self._connection.execute(_KEEP_LOCK, *key, body)
        return str(await self._connection.fetchval(_LOCK, *key))

    async def lock(self, key: LockKey) -> str | None:
        return _text(await self._connection.fetchval(_LOCK, *key))

    async def forget(self, org_id: UUID, bento_digest: str) -> None:
        """The locks of a bento that is gone."""
        await self._connection.execute(_FORGET_LOCKS, org_id, bento_digest)

    async def pinned(self, key: LockKey) -> str | None:
        """What other bentos with the same lines, all of them pinned, were resolved to."""
        return _text(await self._connection.fetchval(_PINNED, *key))

    async def keep_pinned(self, key: LockKey, body: str) -> None:
        await self._connection.execute(_KEEP_PINNED, *key, body)

    async def described(self, org_id: UUID, digest: str) -> Described | None:
        found = await self._connection.fetchval(_DESCRIBED, org_id, digest)
        return None if found is None else _DESCRIBED_OF.validate_json(found)

    async def describe(self, org_id: UUID, digest: str, described: Described) -> None:
        await self._connection.execute(_DESCRIBE, org_id, digest, to_json(described).decode())

    async def base(self, org_id: UUID, reference: str, platform: str) -> BaseImage | None:
        found = await self._connection.fetchval(_BASE, org_id, reference, platform)
        return None if found is None else _BASE_OF.validate_json(found)

    async def bases(self, org_id: UUID) -> Sequence[PinnedBase]:
        rows = await self._connection.fetch(_BASES, org_id)
        return [PinnedBase(**dict(row)) for row in rows]

    async def unpin(self, org_id: UUID, reference: str) -> bool:
        return await self._connection.fetchval(_UNPIN, org_id, reference) is not None

    async def pin(self, org_id: UUID, base: BaseImage, *, source: str) -> None:
        body = to_json(base).decode()
        row = (base.reference, base.platform, base.digest, body, source)
        await self._connection.execute(_PIN, org_id, *row)

    async def layers(self, org_id: UUID, key: str) -> tuple[str, tuple[Layer, ...]] | None:
        """The repository that they were pushed to, and what they are."""
        row = await self._connection.fetchrow(_LAYERS, org_id, key)
        if row is None:
            return None
        return row["repository"], _LAYERS_OF.validate_json(row["layers"])

    async def keep_layers(
        self, org_id: UUID, key: str, layers: Sequence[Layer], *, repository: str
    ) -> None:
        body = to_json(list(layers)).decode()
        await self._connection.execute(_KEEP_LAYERS, org_id, key, repository, body)

    async def image(self, org_id: UUID, plan_digest: str) -> Made | None:
        row = await self._connection.fetchrow(_IMAGE, org_id, plan_digest)
        return None if row is None else Made(**dict(row))

    async def keep_image(self, org_id: UUID, plan_digest: str, made: Made) -> None:
        row = (made.digest, made.size_bytes, made.repository, made.tag, made.registry)
        await self._connection.execute(_KEEP_IMAGE, org_id, plan_digest, *row)


def _text(found: Any) -> str | None:
    return None if found is None else str(found)
