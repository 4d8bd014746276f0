"""The embedded PostgreSQL: which binaries, one data directory, started and stopped safely."""

from cli.embedded.postgres.binaries import Binaries, as_nobody, find_binaries
from cli.embedded.postgres.cluster import (
    SUPERUSER,
    command,
    database_of,
    end_leftovers,
    initialise,
    service_dsn,
    superuser_dsn,
)
from cli.embedded.postgres.probe import accepts

__all__ = [
    "SUPERUSER",
    "Binaries",
    "accepts",
    "as_nobody",
    "command",
    "database_of",
    "end_leftovers",
    "find_binaries",
    "initialise",
    "service_dsn",
    "superuser_dsn",
]
