"""What lies beside images is due here until it is there."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from libs.chassis.postgres import Connection
from services.builder.domain import Contents, Due
from services.builder.store.builds import ORDER, order_of

_DUE: Final = f"""
SELECT {ORDER}, strategy, plan, plan_digest, image_digest, uri, started_at, ended_at,
    attest_attempts
FROM build WHERE attest = 'due' AND attest_due_at <= now() ORDER BY id LIMIT 1
"""  # noqa: S608  # a constant
_BUILT: Final = f"""
SELECT {ORDER}, strategy, plan, plan_digest, image_digest, uri, started_at, ended_at,
    attest_attempts
FROM build WHERE org_id = $1 AND image_digest = $2 AND kind = 'oci' AND attest <> 'none'
ORDER BY id LIMIT 1
"""  # noqa: S608  # a constant
_PENDING: Final = """
SELECT EXISTS (SELECT FROM build WHERE org_id = $1 AND image_digest = $2 AND attest = 'due')
"""
_END: Final = "UPDATE build SET attest = $2 WHERE id = $1"
_PUT_OFF: Final = """
UPDATE build SET attest_attempts = attest_attempts + 1, attest_due_at = now() + $2::interval
WHERE id = $1
"""
_CONTENTS: Final = """
WITH used AS (
    UPDATE layer_contents SET used_at = now()
    WHERE org_id = $1 AND digest = $2 AND used_at < now() - interval '1 hour'
)
SELECT body FROM layer_contents WHERE org_id = $1 AND digest = $2
"""
_KEEP: Final = """
INSERT INTO layer_contents (org_id, digest, body) VALUES ($1, $2, $3::text::jsonb)
ON CONFLICT DO NOTHING
"""
_CONTENTS_OF: Final = TypeAdapter(Contents)


class AttestStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def due(self) -> Due | None:
        return _due(await self._connection.fetchrow(_DUE))

    async def built(self, org_id: UUID, image_digest: str) -> Due | None:
        """The build that made an image."""
        return _due(await self._connection.fetchrow(_BUILT, org_id, image_digest))

    async def pending(self, org_id: UUID, image_digest: str) -> bool:
        """Whether something is still to be put beside an image."""
        return bool(await self._connection.fetchval(_PENDING, org_id, image_digest))

    async def end(self, build_id: UUID, how: str) -> None:
        await self._connection.execute(_END, build_id, how)

    async def put_off(self, build_id: UUID, pause: timedelta) -> None:
        await self._connection.execute(_PUT_OFF, build_id, pause)

    async def contents(self, org_id: UUID, digest: str) -> Contents | None:
        found = await self._connection.fetchval(_CONTENTS, org_id, digest)
        return None if found is None else _CONTENTS_OF.validate_json(found)

    async def keep_contents(self, org_id: UUID, digest: str, contents: Contents) -> None:
        await self._connection.execute(_KEEP, org_id, digest, to_json(contents).decode())


def _due(row: asyncpg.Record | None) -> Due | None:
    if row is None:
        return None
    given: dict[str, Any] = dict(row)
    names = ("strategy", "plan_digest", "image_digest", "uri", "started_at", "ended_at")
    said = {name: given.pop(name) for name in names}
    plan, attempts = from_json(given.pop("plan")), given.pop("attest_attempts")
    return Due(order=order_of(given), plan=plan, attempts=attempts, **said)
