"""The life of one platform: what is started in which order, kept, and stopped in which order."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Final

from cli.embedded import postgres
from cli.errors import CommandError
from cli.home import INTERNAL, Home, change, create
from cli.ports import assign, listen
from cli.supervisor.forks import ForkError, Forks
from cli.supervisor.layout import Layout, base_environment
from cli.supervisor.recipes import nats_recipe, postgres_recipe, service_recipes, zygote_recipe
from cli.supervisor.schema import migrate, prepare
from cli.supervisor.status import Status, overall
from cli.supervisor.sweep import stop_models, sweep
from cli.supervisor.units import Recipe, Unit
from libs.chassis.process import rotate, tail

log = logging.getLogger("supervisor")

_LOG_BYTES: Final = 16 * 2**20
_LOGS_KEPT: Final = 3
_ROTATE_SECONDS: Final = 10.0
_TOLD_LINES: Final = 15
_LAST: Final = ("zygote", "nats", "postgres")


class Daemon:
    """Runs until it is told to stop, or until the start fails for good."""

    def __init__(self, home: Home, group: asyncio.TaskGroup) -> None:
        self._home = home
        self._group = group
        self._units: dict[str, Unit] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: tuple[socket.socket, ...] = ()
        self._status = Status(home, os.getpid())
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Exit status: 0 after a stop that was asked for, 1 when the platform cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        self._changed()
        trouble = await self._start_unless_stopped()
        if trouble is None:
            await self._stopping.wait()
        log.info("stopping")
        await self._stop()
        self._status.state = "failed" if trouble else "stopped"
        if trouble is not None:
            self._status.trouble, self._status.cure = trouble.trouble, trouble.cure
            log.error("%s", trouble)
        self._changed()
        return 0 if trouble is None else 1

    async def _start_unless_stopped(self) -> CommandError | None:
        starting = self._group.create_task(self._try_to_start())
        stop = self._group.create_task(self._stopping.wait())
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        for each in (starting, stop):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await starting
        return None

    async def _try_to_start(self) -> CommandError | None:
        try:
            await self._start()
        except CommandError as error:
            return error
        except (ForkError, OSError, TimeoutError) as error:
            return CommandError(f"the platform could not start: {error!r}", "see supervisor.log")
        return None

    async def _start(self) -> None:
        layout = await self._lay_out()
        binaries = await asyncio.to_thread(self._database, layout)
        forks = Forks(self._home, marker=layout.marker, environment=base_environment())
        self._background(forks.converse())
        self._background(self._rotate_logs())
        self._keep(zygote_recipe(layout, forks), nats_recipe(layout))
        self._keep(postgres_recipe(layout, binaries))
        await self._all_ready("zygote", "postgres")
        await prepare(layout, forks)
        await migrate(layout, forks, "pre")
        await self._all_ready("nats")
        services = service_recipes(layout, forks, {"gateway": self._sockets})
        self._keep(*services)
        await self._settled(each.name for each in services)
        self._status.state = "ready"
        self._changed()
        log.info("%s: %s, endpoints %s", self._overall(), layout.url, layout.endpoints_url)
        await self._migrate_after(layout, forks)

    async def _lay_out(self) -> Layout:
        """Home, leftovers, ports: everything that must be settled before anything starts."""
        create(self._home)
        marker = self._home.marker()
        if ended := await sweep(self._home, marker, deployments=False):
            log.warning("ended %d processes that an earlier supervisor left", ended)
        identity = self._home.identity()
        ports = assign(INTERNAL, dict(identity.ports), seed=marker)
        identity = change(self._home, ports=ports)
        layout = Layout(self._home, identity, marker, self._home.secrets())
        self._status.layout = layout
        self._sockets = (
            listen(identity.host, layout.port),
            listen(identity.host, layout.endpoints_port),
        )
        self._changed()
        return layout

    def _database(self, layout: Layout) -> postgres.Binaries:
        """Programs that fit the data; empty data where there is none."""
        binaries = postgres.find_binaries(major=layout.identity.postgres_major)
        if not self._home.postgres.exists():
            password = layout.secrets["postgres"][postgres.SUPERUSER]
            postgres.initialise(binaries, self._home.postgres, password=password)
            change(self._home, postgres_major=binaries.major, prepared=False, migrated={})
        return binaries

    async def _migrate_after(self, layout: Layout, forks: Forks) -> None:
        """The platform runs already: a failure here is a warning, not an end."""
        try:
            await migrate(layout, forks, "post")
        except (CommandError, ForkError) as error:
            self._status.warnings.append(str(error))
            log.warning("%s", error)
            self._changed()

    def _keep(self, *recipes: Recipe) -> None:
        for recipe in recipes:
            unit = Unit(recipe, self._changed)
            self._units[recipe.name] = unit
            self._tasks.append(self._group.create_task(unit.keep()))

    def _background(self, loop: Coroutine[None, None, None]) -> None:
        self._tasks.append(self._group.create_task(loop))

    async def _all_ready(self, *names: str) -> None:
        await self._settled(names)
        for name in names:
            unit = self._units[name]
            if not unit.ready.is_set():
                raise CommandError(
                    f"{name} does not start ({unit.last_exit}):\n"
                    f"{tail(unit.recipe.log, _TOLD_LINES)}",
                    f"see {unit.recipe.log}, and `yokocho doctor`",
                )

    async def _settled(self, names: Iterable[str]) -> None:
        """Until each is ready, or has failed often enough to say so."""
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(_either(self._units[name].ready, self._units[name].failed))

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_SECONDS)
            await asyncio.to_thread(_rotate_all, self._home.logs)

    async def _stop(self) -> None:
        """Callers first, then those they call; PostgreSQL last."""
        self._status.state = "stopping"
        self._changed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        services = [unit for name, unit in self._units.items() if name not in _LAST]
        gateway = [unit for unit in services if unit.name == "gateway"]
        last = [self._units[name] for name in _LAST if name in self._units]
        for units in (gateway, services):
            await _stop_together(units)
        for each in self._sockets:
            each.close()
        if self._status.layout is not None:
            await stop_models(self._status.layout.marker)
        for unit in last:
            await unit.stop()
        if self._status.layout is not None:
            await sweep(self._home, self._status.layout.marker, deployments=True)

    def _overall(self) -> str:
        return overall(self._units.values())

    def _changed(self) -> None:
        if self._status.state in {"ready", "running", "degraded"}:
            self._status.state = self._overall()
        try:
            self._status.write(self._units.values())
        except OSError as error:
            log.warning("the status cannot be written: %s", error)


def _rotate_all(logs: Path) -> None:
    for each in logs.glob("*.log"):
        with contextlib.suppress(OSError):
            rotate(each, max_bytes=_LOG_BYTES, keep=_LOGS_KEPT)


async def _stop_together(units: Iterable[Unit]) -> None:
    async with asyncio.TaskGroup() as group:
        for unit in units:
            group.create_task(unit.stop())


async def _either(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
