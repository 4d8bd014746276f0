"""One data directory: made, started with modest memory and full durability, freed of leftovers."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import psutil

from cli.embedded.postgres.binaries import Binaries, as_nobody, require_user_namespaces
from cli.errors import CommandError
from cli.ports import LOOPBACK
from libs.chassis.process import Command

SUPERUSER: Final = "postgres"

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "80",
    "shared_buffers": "64MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "lc_messages": "C",
}
"""Nothing here trades durability away: fsync, full_page_writes and synchronous_commit stay on."""

_SINCE_18: Final = {"io_method": "sync"}
"""Three workers less, which such a small server would never use."""


def initialise(binaries: Binaries, data: Path, *, password: str) -> None:
    """Make an empty cluster. A data directory that is not whole is made anew: it holds nothing."""
    require_user_namespaces()
    making = data.with_name(f"{data.name}.new")
    if making.exists():
        shutil.rmtree(making)
    password_file = data.with_name(".postgres-password")
    password_file.touch(mode=0o600)
    password_file.write_text(f"{password}\n")
    options = ["-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(password_file)]
    options += ["-E", "UTF8", "--no-locale", "--no-instructions"]
    try:
        done = subprocess.run(
            [*as_nobody(), str(binaries.folder / "initdb"), "-D", str(making), *options],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password_file.unlink()
    if done.returncode:
        raise CommandError(
            f"initdb failed: {(done.stderr or done.stdout).strip()}",
            "look at the free disk space and at the permissions of the home folder",
        )
    making.rename(data)


def command(
    binaries: Binaries, data: Path, *, port: int, environment: Mapping[str, str]
) -> Command:
    """The server in the foreground."""
    settings = _SETTINGS | (_SINCE_18 if binaries.major >= 18 else {}) | {"port": str(port)}  # noqa: PLR2004 - as named
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Command(
        argv=(*as_nobody(), str(binaries.folder / "postgres"), "-D", str(data), *options),
        env=environment,
        cwd=data,
        owns_descendants=False,
    )


def superuser_dsn(port: int, password: str) -> str:
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"


def database_of(service: str) -> str:
    """Name of the service's database, and of the role that owns it."""
    return f"yokocho_{service}"


def service_dsn(port: int, service: str, password: str, *, host: str = LOOPBACK) -> str:
    name = database_of(service)
    return f"postgresql://{name}:{password}@{host}:{port}/{name}"


async def end_leftovers(data: Path, *, grace: timedelta) -> None:
    """No server runs on ``data`` after this, and no stale lock file keeps one from starting.

    A postmaster that was killed leaves backends that hold its shared memory for a moment; one
    whose machine lost power leaves a lock file whose number may be anybody's by now. The file
    goes only when no process works in the directory, because it is also what keeps two servers
    from one data directory.
    """
    running = _servers(data)
    for each in running:
        with contextlib.suppress(psutil.Error):
            each.send_signal(signal.SIGINT if _is_postmaster(each, data) else signal.SIGTERM)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace.total_seconds()
    while running := _servers(data):
        if loop.time() > deadline:
            for each in running:
                with contextlib.suppress(psutil.Error):
                    each.kill()
        await asyncio.sleep(0.02)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _servers(data: Path) -> list[psutil.Process]:
    """Every process of a server works in its data directory, whatever became of its title."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            at_work = os.path.realpath(process.cwd()) == os.path.realpath(data)
            if at_work and "postgres" in process.name():
                found.append(process)
    return found


def _is_postmaster(process: psutil.Process, data: Path) -> bool:
    try:
        return (data / "postmaster.pid").read_text().split("\n")[0] == str(process.pid)
    except OSError:
        return False
