"""A backup of a home, while its platform runs or while it is down."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cli.backup.archive import About, Writer
from cli.backup.databases import Server, temporary_server
from cli.embedded import postgres
from cli.errors import CommandError
from cli.home import Home, platform_version
from cli.supervisor.lock import HomeLock, is_supervised
from libs.chassis.process import leftovers

ORDER: Final = ("events", "gateway", "deployer", "builder", "registry")
"""Readers before those they read from: what a dump mentions is in a later one. What a reader has
not heard yet is still in the other's outbox, and said again after the restore."""


@dataclass(frozen=True, slots=True)
class Saved:
    file: Path
    size_bytes: int
    seconds: float


def save(home: Home, output: Path, *, note: Callable[[str], None]) -> Saved:
    """``output`` appears when all of it is on the disk. Raises ``CommandError``."""
    begun = time.monotonic()
    if output.exists():
        raise CommandError(f"{output} exists", "name another file, or move it away")
    if not output.parent.is_dir():
        raise CommandError(f"{output.parent} is no folder", "make it first")
    try:
        asyncio.run(_save(home, output, note))
    except OSError as error:
        raise CommandError(f"the backup could not be written: {error}", "make room") from error
    return Saved(output, output.stat().st_size, time.monotonic() - begun)


async def _save(home: Home, output: Path, note: Callable[[str], None]) -> None:
    """Databases first: blobs are only ever added, so all that a dump names are there."""
    binaries = postgres.find_binaries(major=home.identity().postgres_major)
    if not home.postgres.exists():
        raise CommandError(f"{home.root} has no data yet", "`yokocho up` makes some")
    partial = output.with_name(f".{output.name}.partial")
    about = About(platform_version(), datetime.now(UTC).isoformat(), binaries.major)
    with TemporaryDirectory(dir=output.parent, prefix=".yokocho-backup-") as folder:
        dumps = {service: Path(folder) / f"{service}.dump" for service in ORDER}
        async with _server(home, binaries) as server:
            for service, file in dumps.items():
                note(f"database of the {service}")
                await asyncio.to_thread(server.dump, service, file)
        note("models, bentos and keys")
        partial.unlink(missing_ok=True)
        try:
            await asyncio.to_thread(_write, home, partial, about=about, dumps=dumps)
            partial.rename(output)
        finally:
            partial.unlink(missing_ok=True)


def _write(home: Home, partial: Path, *, about: About, dumps: dict[str, Path]) -> None:
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with Writer(file, about) as writer:
            for each in (home.identity_file, home.secrets_file, home.token_file):
                writer.add(f"home/{each.name}", each)
            for name in ("keys", "blobs/sha256", "builder/logs"):
                writer.add_tree(f"home/{name}", home.root / name)
            for service, dump in dumps.items():
                writer.add(f"databases/{service}.dump", dump)
        file.flush()
        os.fsync(file.fileno())


@asynccontextmanager
async def _server(home: Home, binaries: postgres.Binaries) -> AsyncIterator[Server]:
    """The platform's own, or one started for this while nobody else can start it."""
    identity = home.identity()
    if is_supervised(home):
        password = home.secrets()["postgres"][postgres.SUPERUSER]
        yield Server(binaries, identity.ports["postgres"], password)
        return
    with HomeLock(home) as lock:
        if not lock.take():
            raise CommandError("the platform is starting or stopping", "try again when it has")
        if leftovers(home.marker()):
            raise CommandError(
                "processes run without a supervisor", "`yokocho up` or `yokocho down` first"
            )
        async with temporary_server(home, binaries) as server:
            yield server
