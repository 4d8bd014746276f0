"""The key under which values are fingerprinted. Made once, never told."""

import secrets

from libs.chassis.postgres import Connection

_MAKE = "INSERT INTO fingerprint_key (value) VALUES ($1) ON CONFLICT (id) DO NOTHING"
_READ = "SELECT value FROM fingerprint_key"


async def load_key(connection: Connection) -> bytes:
    await connection.execute(_MAKE, secrets.token_bytes(32))
    return bytes(await connection.fetchval(_READ))
