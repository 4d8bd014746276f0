"""Data planes and the table version that each of them serves."""

from datetime import timedelta
from typing import Final

from libs.chassis.postgres import Connection

_RENEW: Final = """
    INSERT INTO data_plane (name, applied_version, seen_at) VALUES ($1, $2, now())
    ON CONFLICT ON CONSTRAINT data_plane_pkey DO UPDATE SET
        applied_version = excluded.applied_version, seen_at = excluded.seen_at
"""
_LEAVE: Final = "DELETE FROM data_plane WHERE name = $1"
_COMMON: Final = """
    SELECT min(applied_version) FILTER (WHERE seen_at > now() - $2::interval)
    FROM data_plane
    HAVING count(*) FILTER (WHERE seen_at > now() - $1::interval) > 0
"""
_FORGET: Final = "DELETE FROM data_plane WHERE seen_at < now() - $1::interval"


class PlaneStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def renew(self, name: str, applied_version: int) -> None:
        """``name`` is alive and serves ``applied_version``; its next process takes it over."""
        await self._connection.execute(_RENEW, name, applied_version)

    async def leave(self, name: str) -> None:
        await self._connection.execute(_LEAVE, name)

    async def common_version(self, *, lease: timedelta, patience: timedelta) -> int | None:
        """The newest version that all data planes serve which count; None without a live one.

        One that fell silent may still be serving its last table: it counts for ``patience``.
        """
        found: int | None = await self._connection.fetchval(_COMMON, lease, patience)
        return found

    async def forget(self, silent_for: timedelta) -> None:
        await self._connection.execute(_FORGET, silent_for)
