"""PostgreSQL's own tools on a home's databases, and a server where none runs."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cli.embedded import postgres
from cli.errors import CommandError
from cli.home import Home
from cli.ports import LOOPBACK, assign
from cli.supervisor.layout import server_environment
from libs.chassis.process import spawn, tail

_START_SECONDS: Final = 60
_GRACE: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Server:
    """A running one, entered as its superuser."""

    binaries: postgres.Binaries
    port: int
    password: str

    @property
    def dsn(self) -> str:
        return postgres.superuser_dsn(self.port, self.password)

    def dump(self, service: str, file: Path) -> None:
        """One consistent moment of the service's database, while it is used."""
        self._run("pg_dump", "--format=custom", "--file", str(file), service=service)

    def load(self, service: str, file: Path) -> None:
        """Whole or not at all, into a database that is empty."""
        self._run(
            "pg_restore", "--single-transaction", "--exit-on-error", str(file), service=service
        )

    def _run(self, tool: str, *options: str, service: str) -> None:
        program = self.binaries.folder / tool
        if not os.access(program, os.X_OK):
            raise CommandError(
                f"{program} is missing",
                "install PostgreSQL's client programs beside the server's, or name a folder that "
                "has both in YOKOCHO_POSTGRES_BIN",
            )
        where = ["--host", LOOPBACK, "--port", str(self.port), "--username", postgres.SUPERUSER]
        done = subprocess.run(
            [program, "--no-password", *where, "--dbname", postgres.database_of(service), *options],
            env={**server_environment(), "PGPASSWORD": self.password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(
                f"{tool} of the {service}'s database failed: {done.stderr.strip()}",
                "look at the free disk space and at `yokocho logs postgres`",
            )


@asynccontextmanager
async def temporary_server(home: Home, binaries: postgres.Binaries) -> AsyncIterator[Server]:
    """On the home's data, for as long as the context is entered. Nothing else may run on it."""
    port = assign(["postgres"], {}, seed=str(home.root))["postgres"]
    command = postgres.command(binaries, home.postgres, port=port, environment=server_environment())
    log = home.log("postgres")
    home.records.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = spawn(home.records, "postgres", command, log=log, marker=home.marker())
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await postgres.accepts(port):
                if not process.alive():
                    raise CommandError(f"PostgreSQL ended:\n{tail(log, 15)}", f"see {log}")
                await asyncio.sleep(0.05)
        yield Server(binaries, port, home.secrets()["postgres"][postgres.SUPERUSER])
    finally:
        await process.stop(_GRACE, first=signal.SIGINT)
