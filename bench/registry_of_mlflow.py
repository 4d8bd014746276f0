"""MLflow's own server beside a platform: in the same PostgreSQL, with the same versions."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import asyncpg
import psutil
from rich.console import Console

from bench import machine
from cli.demo.client import BentoClient, install
from cli.demo.steps import Steps
from cli.embedded.postgres import superuser_dsn
from cli.home import Home
from cli.ports import free_pair

_REQUIREMENTS: Final = Path(__file__).with_name("mlflow.txt")
_DATABASE: Final = "mlflow"
_READY_SECONDS: Final = 120
_GRACE_SECONDS: Final = 10
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its processes would only share the machine
}
_TOLD: Final = """
    CREATE TEMPORARY TABLE told AS
    SELECT r.name, substr(v.version, 2)::int AS version,
           (extract(epoch FROM v.created_at) * 1000)::bigint AS at,
           v.labels || (v.manifest::jsonb -> 'metadata') AS tags
    FROM version v JOIN repository r ON r.id = v.repository_id
"""
_COPIED: Final = {
    "registered_models": (
        ("name", "creation_time", "last_updated_time"),
        "SELECT name, min(at), max(at) FROM told GROUP BY name",
    ),
    "model_versions": (
        ("name", "version", "creation_time", "last_updated_time", "current_stage", "status"),
        "SELECT name, version, at, at, 'None', 'READY' FROM told",
    ),
    "model_version_tags": (
        ("name", "version", "key", "value"),
        "SELECT name, version, t.key, t.value FROM told, jsonb_each_text(tags) AS t",
    ),
    "registered_model_aliases": (
        ("name", "alias", "version"),
        """
        SELECT r.name, a.name, substr(v.version, 2)::int
        FROM alias a JOIN version v ON v.id = a.version_id
        JOIN repository r ON r.id = v.repository_id
        """,
    ),
}
"""Its tables, their columns, and what these hold of ours: labels and metadata are its tags."""


@contextmanager
def running(folder: Path, dsn: str) -> Iterator[int]:
    """Its port. It makes its tables itself before it answers."""
    folder.mkdir()
    client = install(Steps(Console(stderr=True), folder), folder, requirements=_REQUIREMENTS)
    port = free_pair()
    with (folder / "server.log").open("wb") as log:
        process = psutil.Popen(  # our own argv, no shell
            [client.python.with_name("mlflow"), "server", "--port", str(port)],
            cwd=folder,
            env=_environment(client, dsn),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _until_healthy(process, port, folder / "server.log")
        yield port
    finally:
        _stop(process)


async def create_database(home: Home) -> str:
    """The DSN of an empty database beside the services' own."""
    admin = superuser_dsn(home.identity().ports["postgres"], home.secrets()["postgres"]["postgres"])
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute(f"CREATE DATABASE {_DATABASE} TEMPLATE template0")
    finally:
        await connection.close()
    return f"{admin.rpartition('/')[0]}/{_DATABASE}"


async def copy(registry: str, dsn: str) -> None:
    """Every version and alias of the database ``registry`` into MLflow's tables."""
    ours, theirs = await asyncpg.connect(registry), await asyncpg.connect(dsn)
    try:
        await ours.execute(_TOLD)
        for table, (columns, statement) in _COPIED.items():
            rows = await ours.fetch(statement)
            await theirs.copy_records_to_table(table, records=map(tuple, rows), columns=columns)
        await theirs.execute("ANALYZE")
    finally:
        await ours.close()
        await theirs.close()


def _environment(client: BentoClient, dsn: str) -> dict[str, str]:
    """The driver is named: which one ``postgresql:`` means differs between SQLAlchemy's versions.

    The password is in no command line.
    """
    uri = dsn.replace("postgresql:", "postgresql+psycopg2:", 1)
    return client.environment() | _SETTINGS | {"MLFLOW_BACKEND_STORE_URI": uri}


def _until_healthy(process: psutil.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise machine.RunError(f"MLflow does not start:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: psutil.Popen) -> None:
    """Parents first: they would start new workers for those that end. No worker stays behind."""
    everything: list[psutil.Process] = [process]
    with suppress(psutil.NoSuchProcess):
        everything += process.children(recursive=True)
    for each in everything:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, stubborn = psutil.wait_procs(everything, timeout=_GRACE_SECONDS)
    for each in stubborn:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(stubborn)
