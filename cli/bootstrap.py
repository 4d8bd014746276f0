"""``python -m cli.bootstrap HOME``: keys, roles and databases, made where they are missing."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from cli.embedded.postgres import database_of, superuser_dsn
from cli.home import SERVICES, Home
from libs.chassis.auth import generate_keys

_HAS_ROLE: Final = "SELECT 1 FROM pg_roles WHERE rolname = $1"
_HAS_DATABASE: Final = "SELECT 1 FROM pg_database WHERE datname = $1"


def main(argv: list[str]) -> int:
    """Idempotent: what is there is left as it is, but for passwords, which are set again."""
    home = Home(Path(argv[0]))
    generate_keys(home.keys, SERVICES)
    passwords = home.secrets()["postgres"]
    dsn = superuser_dsn(home.identity().ports["postgres"], passwords["postgres"])
    asyncio.run(create_databases(dsn, {name: passwords[name] for name in SERVICES}))
    return 0


async def create_databases(admin_dsn: str, passwords: Mapping[str, str]) -> list[str]:
    """A role and a database of its own for each service; returns the names of new databases.

    Nobody else may connect to a service's database, and its role may connect to no other of ours.
    """
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        return [
            database_of(service)
            for service, password in passwords.items()
            if await _create(connection, database_of(service), password)
        ]
    finally:
        await connection.close(timeout=5)


async def _create(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str, password: str
) -> bool:
    verb = "ALTER" if await connection.fetchval(_HAS_ROLE, name) else "CREATE"
    secret = await connection.fetchval("SELECT quote_literal($1)", password)
    await connection.execute(
        f'{verb} ROLE "{name}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {secret}'
    )
    is_new = not await connection.fetchval(_HAS_DATABASE, name)
    if is_new:
        await connection.execute(f'GRANT "{name}" TO CURRENT_USER')
        await connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}" TEMPLATE template0')
    await connection.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    return is_new


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
