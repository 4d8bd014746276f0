"""A gateway's surroundings: a database, a bus, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge import Gateway, Surroundings
from tests.support.images import registry_behind
from tests.support.nats import NatsServer
from tests.support.postgres import PostgresServer


@pytest.fixture
def around(tmp_path: Path, database_url: str, nats_server: NatsServer) -> Surroundings:
    return Surroundings(tmp_path, database_url, nats_server.url("gateway"))


@pytest.fixture
async def gateway(
    around: Surroundings, postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[Gateway]:
    """In front of a registry."""
    async with (
        registry_behind(around, postgres_server, tmp_path / "blobs"),
        around.gateway() as running,
    ):
        yield running
