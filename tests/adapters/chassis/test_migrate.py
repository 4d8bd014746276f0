"""Migrations against a real server."""

from libs.chassis.migrate import CHASSIS, migrate
from tests.support.postgres import PostgresServer


async def test_migrations_run_once(postgres_server: PostgresServer) -> None:
    async with postgres_server.database() as url:
        first = await migrate(url, CHASSIS, phase="pre")
        again = await migrate(url, CHASSIS, phase="pre")

    assert first
    assert again == []
