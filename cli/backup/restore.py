"""A home from a backup, where there is none: whole or not there."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.backup.archive import About, unpack
from cli.backup.databases import temporary_server
from cli.backup.save import ORDER
from cli.bootstrap import create_databases
from cli.embedded import postgres
from cli.errors import CommandError
from cli.home import SERVICES, Home, change


@dataclass(frozen=True, slots=True)
class Restored:
    home: Path
    created: str
    """When the backup was made."""
    epoch: int
    seconds: float


def restore(file: Path, home: Home, *, note: Callable[[str], None]) -> Restored:
    """Raises ``CommandError``, and leaves nothing behind then.

    What one that was killed left, beside the home and not in it, goes with the next.
    """
    begun = time.monotonic()
    if home.root.exists() and any(home.root.iterdir()):
        raise CommandError(
            f"{home.root} is not empty",
            "`yokocho down`, then move it away; or restore into another `--home`",
        )
    making = Home(home.root.with_name(f".{home.root.name}.restoring"))
    try:
        asyncio.run(postgres.end_leftovers(making.postgres, grace=timedelta(seconds=5)))
        shutil.rmtree(making.root, ignore_errors=True)
        making.root.mkdir(mode=0o700, parents=True)
        note("checking and unpacking")
        about = unpack(file, making.root)
        epoch = asyncio.run(_fill(making, about, note))
        _appear(making.root, home.root)
    except OSError as error:
        raise CommandError(f"the home could not be written: {error}", "make room") from error
    finally:
        shutil.rmtree(making.root, ignore_errors=True)
    return Restored(home.root, about.created, epoch, time.monotonic() - begun)


async def _fill(home: Home, about: About, note: Callable[[str], None]) -> int:
    """Turn what was unpacked into a home; says its new epoch."""
    dumps, unpacked = home.root / "databases", home.root / "home"
    for each in unpacked.iterdir():
        each.rename(home.root / each.name)
    unpacked.rmdir()
    epoch = max(home.identity().epoch + 1, int(datetime.now(UTC).timestamp()))
    binaries = _binaries(about)
    passwords = home.secrets()["postgres"]
    postgres.initialise(binaries, home.postgres, password=passwords[postgres.SUPERUSER])
    async with temporary_server(home, binaries) as server:
        await create_databases(server.dsn, {name: passwords[name] for name in SERVICES})
        for service in ORDER:
            note(f"database of the {service}")
            await asyncio.to_thread(server.load, service, dumps / f"{service}.dump")
    shutil.rmtree(dumps)
    change(home, postgres_major=binaries.major, prepared=True, migrated={}, epoch=epoch)
    return epoch


def _binaries(about: About) -> postgres.Binaries:
    """Dumps are read by their own major version and by every later one."""
    found = postgres.find_binaries()
    if found.major >= about.postgres_major:
        return found
    return postgres.find_binaries(major=about.postgres_major)


def _appear(made: Path, root: Path) -> None:
    os.sync()
    if root.exists():
        root.rmdir()
    made.rename(root)
