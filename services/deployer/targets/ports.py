"""Loopback ports for replicas: below the range that the system hands out by itself."""

import socket
from collections.abc import Collection
from pathlib import Path
from typing import Final

from services.deployer.errors import NoPortError

_EPHEMERAL_DEFAULT: Final = 32768
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Ports:
    """Hands out each port of a range before it hands out one again."""

    def __init__(self, first: int, last: int, *, start: int) -> None:
        self._first = first
        self._last = max(first, min(last, _ephemeral_start() - 1))
        self._next = self._first + start % self._count

    @property
    def _count(self) -> int:
        return self._last - self._first + 1

    def choose(self, taken: Collection[int], *, preferred: int | None = None) -> int:
        """A port that nobody listens on now. Between this and the listening it may be taken."""
        if preferred is not None and is_free(preferred):
            return preferred
        for _ in range(self._count):
            port = self._next
            self._next = self._first + (port + 1 - self._first) % self._count
            if port not in taken and is_free(port):
                return port
        raise NoPortError(self._first, self._last)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _ephemeral_start() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_DEFAULT
