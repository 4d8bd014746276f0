"""A gateway's surroundings: a database, a bus, and nobody else."""

from pathlib import Path

import pytest

from tests.support.edge import Surroundings
from tests.support.nats import NatsServer


@pytest.fixture
def around(tmp_path: Path, database_url: str, nats_server: NatsServer) -> Surroundings:
    return Surroundings(tmp_path, database_url, nats_server.url("gateway"))
