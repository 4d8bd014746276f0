"""A big model pushed and pulled by the real client, beside the least server that could do it.

Each round pushes the same bytes to three servers, one after another: the platform (gateway and
registry: hashed, checksummed, fsynced), one that writes and fsyncs, one that throws away. Pulls go
from the platform (every chunk verified) and from aiohttp's ``FileResponse``. What is timed is the
whole command, since that is what a person waits for.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import machine
from bench.report import Row, median
from cli.demo.client import BentoClient
from cli.ports import free_pair

_MIB: Final = int(os.environ.get("YOKOCHO_BENCH_MIB", "1024"))
_ROUNDS: Final = int(os.environ.get("YOKOCHO_BENCH_ROUNDS", "3"))
_MAKE: Final = """
import os, sys, bentoml
with bentoml.models.create("bench_model") as model:
    with open(model.path_of("weights.bin"), "wb") as file:
        for _ in range(int(sys.argv[1])):
            file.write(os.urandom(2**20))
print("__tag__:" + str(model.tag))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One of those that are compared, with the times that it took."""

    url: str
    token: str = "none"  # noqa: S105 - the sinks do not ask
    pushes: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        client = machine.client(folder)
        made = machine.run(client, "-c", _MAKE, str(_MIB))
        tag = made.partition("__tag__:")[2].split()[0]
        with _sink(folder / "kept") as kept, _sink(folder / "none", "--discard") as thrown:
            ours = Server(platform.url, platform.token)
            for _ in range(_ROUNDS):
                for server in (thrown, kept, ours):
                    server.pushes.append(_push(client, server, tag))
                for server in (kept, ours):
                    server.pulls.append(_pull(client, server, tag, home=folder / "empty"))
    return _rows(ours, kept, thrown)


def _rows(ours: Server, kept: Server, thrown: Server) -> list[Row]:
    push, pull = median(ours.pushes), median(ours.pulls)
    return [
        Row(f"push {_MIB} MiB", push, "s", median(kept.pushes), "write + fsync", 1.10, _ROUNDS),
        Row(f"push {_MIB} MiB", push, "s", median(thrown.pushes), "throw away", None, _ROUNDS),
        Row(f"pull {_MIB} MiB", pull, "s", median(kept.pulls), "FileResponse", 1.20, _ROUNDS),
    ]


def _push(client: BentoClient, server: Server, tag: str) -> float:
    machine.login(client, server.url, server.token)
    machine.settle()
    begun = time.monotonic()
    machine.run(client, "models", "push", "--force", tag)
    return time.monotonic() - begun


def _pull(client: BentoClient, server: Server, tag: str, *, home: Path) -> float:
    """Into a home without models; the bytes are compared when the clock has stopped."""
    machine.login(client, server.url, server.token, home=home)
    machine.settle()
    begun = time.monotonic()
    machine.run(client, "models", "pull", tag, home=home)
    taken = time.monotonic() - begun
    name, _, version = tag.partition(":")
    inside = Path("models", name, version, "weights.bin")
    same = ["cmp", str(home / inside), str(client.home / inside)]
    if subprocess.run(same, check=False, capture_output=True).returncode != 0:
        raise machine.RunError(f"{server.url} gave other bytes back")
    shutil.rmtree(home)
    return taken


@contextmanager
def _sink(folder: Path, *options: str) -> Iterator[Server]:
    folder.mkdir()
    port = free_pair()
    command = [sys.executable, "-m", "bench.sink", str(port), str(folder), *options]
    with subprocess.Popen(command) as process:
        try:
            _until_listening(port)
            yield Server(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise machine.RunError("the sink does not listen")
