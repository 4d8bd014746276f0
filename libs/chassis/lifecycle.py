"""How a process lives and dies: HTTP and named loops together, a stop within ten seconds."""

import asyncio
import os
import signal
import socket
import sys
import threading
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import structlog
from aiohttp import web

from libs.chassis import telemetry
from libs.chassis.listener import Listener, Server
from libs.chassis.settings import HttpSettings, SettingsError

__all__ = ["Listener", "TaskGroup", "Wake", "inherited", "listen", "run", "serve", "sleep_or_stop"]

DRAIN: Final = timedelta(seconds=8)
"""How long requests in flight may take to finish after SIGTERM."""
_WHOLE_STOP: Final = timedelta(seconds=9)
_CANCEL: Final = timedelta(seconds=1)
_NOTHING: Final[Mapping[str, "Loop"]] = MappingProxyType({})

Loop = Callable[[], Awaitable[None]]
_STOP: Final[ContextVar[asyncio.Event]] = ContextVar("stop")
_DEADLINE: Final[ContextVar[threading.Event]] = ContextVar("deadline")
_log = structlog.get_logger()


class LoopDiedError(Exception):
    """A background loop ended although nobody asked it to."""


class Wake:
    """Ends somebody's wait early. Several calls of ``set`` before the wait are one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout: timedelta | None = None) -> bool:
        """Until ``set``, or ``timeout``; says whether it was woken."""
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


async def sleep_or_stop(delay: timedelta) -> bool:
    """Sleep, but not into a stop of the service; says whether it is stopping."""
    stop = _STOP.get(None)
    if stop is None:
        await asyncio.sleep(delay.total_seconds())
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(delay.total_seconds()):
            await stop.wait()
    return stop.is_set()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: connections wait in it until somebody serves them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that whoever started this process left open for it."""
    return socket.socket(fileno=descriptor)


async def serve(
    app: web.Application | None = None,
    *,
    http: HttpSettings | None = None,
    sites: Sequence[socket.socket] = (),
    listeners: Sequence[Listener] = (),
    background: Mapping[str, Loop] = _NOTHING,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; raises when a loop dies.

    After the signal: readiness is false, nothing new is accepted, what is in flight has
    eight seconds, then the loops are cancelled and ``on_stop`` is awaited.
    """
    sockets = [*sites, *([listen(http.host, http.port)] if http is not None else [])]
    if sockets and app is None:
        raise ValueError("sockets without an application")
    servers = [Server(each) for each in listeners]
    servers += [Server(Listener(app, each)) for each in sockets if app is not None]
    stop = asyncio.Event()
    token = _STOP.set(stop)
    try:
        with _Signals(stop):
            await _live(servers, background, stop)
    finally:
        _STOP.reset(token)
        _arm()
        if on_stop is not None:
            await on_stop()


def run(main: Coroutine[Any, Any, int | None]) -> int:
    """Run a process to its end and say its exit code: 0 after a stop, 1 after a crash.

    A stop, asked for or not, is ended by force before it takes ten seconds.
    """
    stopping, ended = threading.Event(), threading.Event()
    watchdog = threading.Thread(target=_watch, args=(stopping, ended), daemon=True)
    watchdog.start()
    token = _DEADLINE.set(stopping)
    try:
        code = asyncio.run(main)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Exception:  # noqa: BLE001 -- the edge of the process: said, and told by the exit code
        _log.exception("process.crashed")
        return 1
    finally:
        telemetry.shutdown()
        _DEADLINE.reset(token)
        ended.set()
        stopping.set()
    return code or 0


def _watch(stopping: threading.Event, ended: threading.Event) -> None:
    stopping.wait()
    if not ended.wait(_WHOLE_STOP.total_seconds()):
        _log.error("process.stop_overran", seconds=_WHOLE_STOP.total_seconds())
        os._exit(1)


class _Signals:
    """SIGTERM and SIGINT set ``stop``, for as long as this is entered."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError, RuntimeError):  # not in the main thread: nobody signals us
                self._loop.add_signal_handler(each, self._on_signal, each)

    def __exit__(self, *_: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError, RuntimeError):
                self._loop.remove_signal_handler(each)

    def _on_signal(self, number: signal.Signals) -> None:
        _log.info("process.stopping", signal=number.name)
        self._stop.set()
        _arm()


def _arm() -> None:
    """From now on the process has ten seconds, where ``run`` watches over it."""
    deadline = _DEADLINE.get(None)
    if deadline is not None:
        deadline.set()


async def _live(
    servers: Sequence[Server], background: Mapping[str, Loop], stop: asyncio.Event
) -> None:
    try:
        for each in servers:
            await each.start()
        _log.info("process.serving", addresses=[each.address for each in servers])
        async with TaskGroup() as group:
            loops = [
                group.create_task(_loop(name, each, stop), name=name)
                for name, each in background.items()
            ]
            await stop.wait()
            await asyncio.gather(*(each.drain(DRAIN) for each in servers))
            for loop in loops:
                loop.cancel()
            if loops:
                _, stuck = await asyncio.wait(loops, timeout=_CANCEL.total_seconds())
                for loop in stuck:
                    _log.error("loop.stuck", loop=loop.get_name())
    finally:
        for each in servers:
            await each.close()


async def _loop(name: str, body: Loop, stop: asyncio.Event) -> None:
    try:
        await body()
    except Exception:
        _log.exception("loop.died", loop=name)
        raise
    if not stop.is_set():
        _log.error("loop.died", loop=name, reason="it returned")
        raise LoopDiedError(name)
