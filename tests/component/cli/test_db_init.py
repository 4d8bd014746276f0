"""`yokocho db init` on a PostgreSQL that is not the platform's own."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cli.backup.databases import Server, temporary_server
from cli.embedded import postgres
from cli.environment import variable
from cli.home import SERVICES, Home, create


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    home = Home(tmp_path / "foreign")
    create(home)
    binaries = postgres.find_binaries()
    postgres.initialise(
        binaries, home.postgres, password=home.secrets()["postgres"][postgres.SUPERUSER]
    )
    async with temporary_server(home, binaries) as server:
        yield server


def init(dsn: str, output: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli", "db", "init", "--output", str(output), "--json"],
        env={**os.environ, "YOKOCHO_ADMIN_DSN": dsn},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_each_service_gets_a_database_that_no_other_can_enter(
    server: Server, tmp_path: Path
) -> None:
    output = tmp_path / "services.env"
    done = init(server.dsn, output)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["created"]) == len(SERVICES)
    assert output.stat().st_mode & 0o777 == 0o600

    told = dict(line.split("=", 1) for line in output.read_text().splitlines())
    for service in SERVICES:
        connection = await asyncpg.connect(told[variable(service)])
        await connection.execute("CREATE TABLE mine ()")
        await connection.close()
    foreign = told[variable("registry")].replace("/yokocho_registry", "/yokocho_gateway")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(foreign.replace("//yokocho_gateway", "//yokocho_registry"))


async def test_a_second_run_keeps_what_is_there(server: Server, tmp_path: Path) -> None:
    output = tmp_path / "services.env"
    init(server.dsn, output)
    before = output.read_text()

    again = init(server.dsn, output)

    assert json.loads(again.stdout)["created"] == []
    assert output.read_text() == before


def test_a_server_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    done = init("postgresql://nobody:x@127.0.0.1:1/postgres", tmp_path / "services.env")

    assert done.returncode == 1
    assert "could not be made" in done.stderr
    assert "Traceback" not in done.stderr
