"""Numbered SQL files applied once each, in order, under a lock. Forward only.

``NNNN_pre_name.sql`` runs before new code starts, ``NNNN_post_name.sql`` after old code is
gone. The chassis' own files come first in every database.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import ClassVar, Final, Literal

import asyncpg
import structlog

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.partitions import ensure_partitions
from libs.chassis.postgres import DirectConnection, patiently

Phase = Literal["pre", "post"]

log = structlog.get_logger(__name__)

CHASSIS: Final = "libs.chassis.migrations"
_FOLDER: Final = "migrations"
_NAME: Final = re.compile(r"(?P<number>\d{4})_(?P<phase>pre|post)_[a-z0-9_]+\.sql")
_LOCK_LOOK: Final = timedelta(milliseconds=200)
_LOCK_LOOKS: Final = 300
_LOCK_TRIES: Final = 10
_STATEMENT_TIMEOUT: Final = timedelta(minutes=10)

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('schema_migration', 0))"
_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
    set_name   text        NOT NULL,
    file       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_migration_pkey PRIMARY KEY (set_name, file)
)
"""
_APPLIED: Final = "SELECT file, checksum FROM schema_migration WHERE set_name = $1"
_RECORD: Final = "INSERT INTO schema_migration (set_name, file, checksum) VALUES ($1, $2, $3)"


class MigrationError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "migration-refused"
    title: ClassVar[str] = "The database and the code do not fit together"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of one set."""

    file: str
    phase: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(dsn: str, package: str, *, phase: Phase) -> list[str]:
    """Apply what is missing and return the names of the files that ran.

    ``package`` is ``services.<name>`` or its ``migrations`` package. Idempotent; two callers
    at once take turns. Refuses a file that changed after it ran, and a database that knows
    files this code does not have. Each file is one transaction with a short lock timeout, so
    that waiting for a lock never makes the whole service wait.
    """
    ran: list[str] = []
    async with _locked(dsn) as connection:
        await connection.execute(_LEDGER)
        for each in dict.fromkeys((CHASSIS, _package(package))):
            known = load(each)
            for migration in pending(each, known, await _applied(connection, each), phase=phase):
                await _apply(connection, each, migration)
                log.info("migration.applied", set=each, file=migration.file)
                ran.append(migration.file)
        await ensure_partitions(connection)
    return ran


def load(package: str) -> list[Migration]:
    """Every migration of a package, in order. Numbers are unique; other files are refused."""
    found: dict[str, Migration] = {}
    folder = files(package.removesuffix(f".{_FOLDER}")).joinpath(_FOLDER)
    names = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    for name in names:
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise MigrationError(f"{package}: {name} is not called NNNN_(pre|post)_name.sql")
        if matched["number"] in found:
            raise MigrationError(f"{package}: two files have the number {matched['number']}")
        sql = folder.joinpath(name).read_text(encoding="utf-8")
        found[matched["number"]] = Migration(name, matched["phase"], sql)
    return list(found.values())


def pending(
    package: str, known: Sequence[Migration], applied: dict[str, str], *, phase: Phase
) -> list[Migration]:
    """What ``phase`` has to run.

    A missing ``post`` that precedes a missing ``pre`` belongs to an earlier release, whose old
    code is gone: it runs in its place.
    """
    checksums = {each.file: each.checksum for each in known}
    if newer := sorted(applied.keys() - checksums.keys()):
        raise MigrationError(
            f"the database has migrations of {package} that this code does not know "
            f"({', '.join(newer)}): it was used by a newer version"
        )
    if drifted := sorted(name for name, was in applied.items() if checksums[name] != was):
        raise MigrationError(f"{package}: changed after they ran: {', '.join(drifted)}")
    missing = [each for each in known if each.file not in applied]
    if phase == "pre":
        while missing and missing[-1].phase == "post":
            missing.pop()
    return missing


def _package(name: str) -> str:
    return name if name.endswith(f".{_FOLDER}") else f"{name}.{_FOLDER}"


@asynccontextmanager
async def _locked(dsn: str) -> AsyncIterator[DirectConnection]:
    async def attempt() -> DirectConnection:
        return await asyncpg.connect(
            dsn, timeout=10, command_timeout=_STATEMENT_TIMEOUT.total_seconds()
        )

    connection = await patiently(attempt)
    try:
        for _ in range(_LOCK_LOOKS):
            if await connection.fetchval(_LOCK):
                break
            await asyncio.sleep(_LOCK_LOOK.total_seconds())
        else:
            raise MigrationError("another migration has been running for a minute")
        yield connection
    finally:
        await connection.close(timeout=5)


async def _applied(connection: DirectConnection, package: str) -> dict[str, str]:
    return {row["file"]: row["checksum"] for row in await connection.fetch(_APPLIED, package)}


async def _apply(connection: DirectConnection, package: str, migration: Migration) -> None:
    for attempt in range(1, _LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '2s'")
                await connection.execute(migration.sql)
                await connection.execute(_RECORD, package, migration.file, migration.checksum)
        except asyncpg.LockNotAvailableError as error:
            if attempt == _LOCK_TRIES:
                raise MigrationError(f"{migration.file}: a table stays locked") from error
            log.warning("migration.lock_awaited", file=migration.file, attempt=attempt)
            await asyncio.sleep(1)
        else:
            return
