"""What lies in archives, packed; as long as the archive itself is known."""

from typing import Final

from libs.chassis.postgres import Connection

_ONE: Final = "SELECT entries FROM listing WHERE digest = $1"
_PUT: Final = """
    INSERT INTO listing (digest, entries)
    SELECT digest, $2 FROM blob WHERE digest = $1 FOR KEY SHARE
    ON CONFLICT DO NOTHING
"""


class ListingRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def one(self, digest: str) -> bytes | None:
        packed: bytes | None = await self._connection.fetchval(_ONE, digest)
        return packed

    async def put(self, digest: str, packed: bytes) -> None:
        """Nothing where the archive has been collected meanwhile."""
        await self._connection.execute(_PUT, digest, packed)
