"""One supervised thing: started, watched until it is ready, restarted with growing pauses."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cli.errors import CommandError
from cli.supervisor.forks import ForkError
from cli.supervisor.probes import Probe
from libs.chassis.process import Process

log = logging.getLogger("supervisor")

_POLL_SECONDS: Final = 0.03
_LIVENESS_SECONDS: Final = 5.0
_HUNG_AFTER: Final = 12
_STEADY_SECONDS: Final = 10.0
_FAILED_AFTER: Final = 5
_PAUSES: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class State(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FAILED = "failed"
    """It ended again and again without becoming ready; it is still tried."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one thing is started and watched."""

    name: str
    start: Callable[[], Awaitable[Process]]
    ready: Probe
    log: Path
    alive: Probe | None = None
    """Asked every few seconds; what stays silent for a minute is killed. None: never."""
    ending: Callable[[int], Awaitable[int | None]] | None = None
    """Exit status of a process that is another's child."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: timedelta = timedelta(seconds=12)
    port: int | None = None


@dataclass(slots=True)
class Unit:
    """A recipe at work."""

    recipe: Recipe
    changed: Callable[[], None]
    state: State = State.STARTING
    process: Process | None = None
    restarts: int = 0
    last_exit: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    _short: int = 0
    """Lives in a row that were shorter than steady: the pause grows with them."""
    _unready: int = 0
    """Lives in a row in which it never became ready."""

    @property
    def name(self) -> str:
        return self.recipe.name

    async def keep(self) -> None:
        """Have it running, always. Ends only by cancellation, and leaves the process alone then."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            how = await self._live()
            steady = loop.time() - began > _STEADY_SECONDS
            self._ended(how)
            await asyncio.sleep(_PAUSES[min(self._short, len(_PAUSES) - 1)])
            self._short = 0 if steady else self._short + 1

    async def stop(self) -> None:
        """For good: its session and everything in it."""
        if self.process is not None:
            await self.process.stop(self.recipe.stop_grace, first=self.recipe.stop_signal)
        self.process = None
        self._to(State.STOPPED)

    def view(self) -> dict[str, Any]:
        return {
            "pid": self.process.pid if self.process is not None else None,
            "state": self.state.value,
            "restarts": self.restarts,
            "since": self.since.isoformat(),
            "port": self.recipe.port,
            "last_exit": self.last_exit,
            "log": str(self.recipe.log),
        }

    async def _live(self) -> str:
        """From its start to its end; says how it ended."""
        try:
            self.process = process = await self.recipe.start()
        except (ForkError, CommandError, OSError, TimeoutError) as error:
            return f"not started: {str(error) or type(error).__name__}"
        self.changed()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(process))
            status = await process.wait()
            watch.cancel()
        if status is None and self.recipe.ending is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    status = await self.recipe.ending(process.pid)
        return _described(status)

    async def _watch(self, process: Process) -> None:
        while not await self.recipe.ready():  # noqa: ASYNC110 - another process has no Event
            await asyncio.sleep(_POLL_SECONDS)
        if not process.alive():
            return  # somebody else answered
        self._to(State.RUNNING)
        self.ready.set()
        self.failed.clear()
        if self.recipe.alive is not None:
            await self._until_hung(self.recipe.alive)
            log.error("%s does not answer: killed", self.name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    @staticmethod
    async def _until_hung(alive: Probe) -> None:
        silent = 0
        while silent < _HUNG_AFTER:
            await asyncio.sleep(_LIVENESS_SECONDS)
            silent = 0 if await alive() else silent + 1

    def _ended(self, how: str) -> None:
        self.process = None
        self._unready = 0 if self.ready.is_set() else self._unready + 1
        self.ready.clear()
        self.restarts += 1
        self.last_exit = how
        log.warning("%s ended: %s", self.name, how)
        if self._unready >= _FAILED_AFTER:
            self._to(State.FAILED)
            self.failed.set()
        else:
            self._to(State.RESTARTING)
        self.changed()

    def _to(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.since = datetime.now(UTC)
            self.changed()


def _described(status: int | None) -> str:
    if status is None:
        return "gone"
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
