"""Keys, databases and migrations: run in children of the zygote, and only when something is new."""

import asyncio
from typing import Final, Literal

from cli.errors import CommandError
from cli.home import SERVICES, Home, change
from cli.supervisor.forks import Forks
from cli.supervisor.layout import Layout, migrations_fingerprint
from cli.supervisor.recipes import order
from cli.zygote import Order
from libs.chassis.process import tail

Phase = Literal["pre", "post"]

_TRIES: Final = 3
_TOLD_LINES: Final = 15


async def prepare(layout: Layout, forks: Forks) -> None:
    """Make keys, roles and databases, unless this home has them."""
    await asyncio.to_thread(_make_sealing_key, layout.home)
    if layout.home.identity().prepared:
        return
    log = layout.home.log("prepare")
    ordered = Order("prepare", "cli.bootstrap", (str(layout.home.root),), {}, str(log))
    if await _run(forks, ordered) != 0:
        raise CommandError(
            f"the databases could not be prepared:\n{tail(log, _TOLD_LINES)}", f"see {log}"
        )
    change(layout.home, prepared=True)


def _make_sealing_key(home: Home) -> None:
    """Also for a home that was made before there were secrets."""
    if not home.sealing_keys.exists():
        from libs.chassis.sealing import generate_sealing_key

        home.keys.mkdir(mode=0o700, exist_ok=True)
        generate_sealing_key(home.sealing_keys)


async def migrate(layout: Layout, forks: Forks, phase: Phase) -> None:
    """Bring every service's schema to this code. Skipped when these very files ran before."""
    fingerprint = await asyncio.to_thread(migrations_fingerprint)
    migrated = layout.home.identity().migrated
    if migrated.get(phase) == fingerprint:
        return
    async with asyncio.TaskGroup() as group:
        runs = {
            service: group.create_task(
                _run(forks, order(layout, service, "migrate", phase, log=_log_name(service)))
            )
            for service in SERVICES
        }
    if failed := [service for service, run in runs.items() if run.result() != 0]:
        log = layout.home.log(_log_name(failed[0]))
        raise CommandError(
            f"the schema of {', '.join(failed)} could not be migrated:\n{tail(log, _TOLD_LINES)}",
            f"see {log}; a schema that is newer than the code needs the newer code",
        )
    change(layout.home, migrated={**migrated, phase: fingerprint})


def _log_name(service: str) -> str:
    return f"{service}-migrate"


async def _run(forks: Forks, ordered: Order) -> int | None:
    """Exit status; what a dying zygote made uncertain is run again, because all of it may be."""
    status = None
    for _ in range(_TRIES):
        status = await forks.run(ordered)
        if status is not None:
            break
    return status
