"""At most one supervisor per home: a lock that the kernel drops with its holder."""

import fcntl
import os
from typing import Self

from cli.home import Home


class HomeLock:
    """Held by the supervisor for its whole life, and by commands that need it to be down."""

    def __init__(self, home: Home) -> None:
        self._path = home.lock_file
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Without waiting; False when somebody else has it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_supervised(home: Home) -> bool:
    """Whether a supervisor lives. Nothing is created where there is no home."""
    if not home.lock_file.exists():
        return False
    with HomeLock(home) as lock:
        return not lock.take()
