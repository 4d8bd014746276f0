"""Ports: which are free, which to take, and who has one that is not."""

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

from cli.errors import CommandError

DEFAULT_PORT: Final = 7777
LOOPBACK: Final = "127.0.0.1"
_ANYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_LOWEST: Final = 20000
_EPHEMERAL_DEFAULT: Final = 32768
_BACKLOG: Final = 512


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; a taken port is said with its holder and the way out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(*_refusal(host, port, error)) from error
    return listener


def reachable(host: str) -> str:
    """Where this machine itself finds what listens on ``host``."""
    return LOOPBACK if host in _ANYWHERE else host


def bracketed(host: str) -> str:
    """As URLs and ``Host`` have it."""
    return f"[{host}]" if ":" in host else host


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on ``port`` now."""
    try:
        listen(host, port).close()
    except CommandError:
        return False
    return True


def holder(port: int) -> str | None:
    """``name (pid N)`` of the process that listens on ``port``, as far as we may see it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid is not None:
                return f"{_described(connection.pid)} (pid {connection.pid})"
    return None


def free_pair() -> int:
    """A port that is free together with the next one, for a platform that is to be temporary."""
    for port in _candidates(os.urandom(8)):
        if is_free(port) and is_free(port + 1):
            return port
    raise CommandError("no two neighbouring ports are free", "stop something that listens")


def assign(names: Iterable[str], kept: dict[str, int], *, seed: str) -> dict[str, int]:
    """A free port for each name: the one it had if nobody else has it now, else a new one."""
    chosen = {name: kept[name] for name in names if name in kept and is_free(kept[name])}
    candidates = _candidates(seed.encode())
    for name in names:
        if name not in chosen:
            chosen[name] = next(
                port for port in candidates if port not in chosen.values() and is_free(port)
            )
    return chosen


def _candidates(seed: bytes) -> Iterator[int]:
    """Every port below the ephemeral range, from a place that differs from home to home."""
    count = _ephemeral_start() - _LOWEST
    start = int.from_bytes(hashlib.sha256(seed).digest()[:4])
    for offset in range(count):
        yield _LOWEST + (start + offset) % count


def _ephemeral_start() -> int:
    """Ports from here on are handed out by the system to any outgoing connection."""
    try:
        told = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return _EPHEMERAL_DEFAULT
    return max(int(told.split()[0]), _LOWEST + 1000)


def _refusal(host: str, port: int, error: OSError) -> tuple[str, str]:
    if not isinstance(error, PermissionError) and (who := holder(port)) is not None:
        trouble = f"port {port} on {host} is taken by {who}"
    else:
        trouble = f"cannot listen on {host} port {port}: {error.strerror or error}"
    return trouble, f"stop it, or choose another with `--port` (this one and {port + 1} are needed)"


def _described(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:120] or psutil.Process(pid).name()
    except psutil.Error:
        return "a process"
