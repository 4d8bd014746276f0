"""The zygote as its supervisor sees it: started, given orders, asked how children ended."""

import asyncio
import contextlib
import json
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from cli.home import Home
from cli.zygote import Order
from libs.chassis.process import Command, Process, spawn

_REPLY_SECONDS: Final = 30.0
_READ: Final = 64 * 1024


class ForkError(Exception):
    """The zygote is not there, or did not answer."""


class Forks:
    """One zygote after another; each is spoken to over a socket pair of its own."""

    def __init__(self, home: Home, *, marker: str, environment: Mapping[str, str]) -> None:
        self._home = home
        self._marker = marker
        self._environment = environment
        self._socket: socket.socket | None = None
        self._opened = asyncio.Event()
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._endings: dict[int, asyncio.Future[int]] = {}

    def start(self) -> Process:
        """Exec a zygote; it says that it is ready once it has imported everything."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - its only parameter, positional
        with theirs:
            command = Command(
                (sys.executable, "-m", "cli.zygote", str(theirs.fileno())),
                self._environment,
                self._home.root,
                pass_fds=(theirs.fileno(),),
                owns_descendants=False,
            )
            log = self._home.log("zygote")
            process = spawn(self._home.records, "zygote", command, log=log, marker=self._marker)
        self._ready.clear()
        self._socket = ours
        self._opened.set()
        return process

    async def converse(self) -> None:
        """Hear one zygote after another. What the last one was asked is lost with it."""
        while True:
            await self._opened.wait()
            self._opened.clear()
            ours = self._socket
            if ours is not None:
                await self._hear(ours)
                self._lost(ours)

    async def _hear(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        buffer = b""
        with contextlib.suppress(OSError):
            while chunk := await loop.sock_recv(ours, _READ):
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))

    def _lost(self, ours: socket.socket) -> None:
        ours.close()
        if self._socket is ours:
            self._socket = None
        self._ready.clear()
        gone = ForkError("the zygote ended")
        for future in (*self._waiting, *self._endings.values()):
            if not future.done():
                future.set_exception(gone)
                future.exception()  # seen: nobody may be waiting for it
        self._waiting.clear()
        self._endings.clear()

    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def fork(self, order: Order, descriptors: Sequence[int] = ()) -> int:
        """The pid of a new child that runs ``order``."""
        async with self._turn:
            async with asyncio.timeout(_REPLY_SECONDS):
                await self._ready.wait()
            if self._socket is None:
                raise ForkError("the zygote ended")
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.append(answer)
            try:
                socket.send_fds(self._socket, [order.line()], list(descriptors))
            except OSError as error:
                self._waiting.remove(answer)
                raise ForkError(f"the zygote takes no orders: {error}") from error
            async with asyncio.timeout(_REPLY_SECONDS):
                return await answer

    async def ending(self, pid: int) -> int | None:
        """Exit status of a child, once it ends; None when its zygote cannot tell any more."""
        future = self._ending_of(pid)
        try:
            return await asyncio.shield(future)
        except ForkError:
            return None
        finally:
            if future.done():
                self._endings.pop(pid, None)

    async def run(self, order: Order) -> int | None:
        """Fork and wait for the end."""
        return await self.ending(await self.fork(order))

    def _take(self, told: dict[str, int]) -> None:
        if "ready" in told:
            self._ready.set()
        elif "forked" in told:
            self._ending_of(told["forked"])
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(told["forked"])
        elif "exited" in told:
            ending = self._ending_of(told["exited"])
            if not ending.done():
                ending.set_result(told["status"])

    def _ending_of(self, pid: int) -> asyncio.Future[int]:
        return self._endings.setdefault(pid, asyncio.get_running_loop().create_future())
