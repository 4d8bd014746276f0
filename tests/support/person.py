"""Somebody at a terminal with the real client: types a command again until it works."""

import time
from dataclasses import dataclass, field

from tests.support.bentos import Client


@dataclass(slots=True)
class Person:
    """The client never retries; people do. ``complaints`` are what failed commands said."""

    client: Client
    patience: float = 90
    complaints: list[str] = field(default_factory=list)

    def push(self, tag: str) -> None:
        self._again("push", tag)

    def deploy(self, tag: str, name: str) -> None:
        """An answer that was lost may have been a yes: whoever sees it is content."""
        deadline = time.monotonic() + self.patience
        while not self._works("deploy", tag, "--name", name, "--no-wait"):
            if self._works("deployment", "get", name):
                return
            assert time.monotonic() < deadline, self.complaints[-1]

    def delete(self, name: str) -> None:
        self._again("deployment", "delete", name)

    def _again(self, *words: str) -> None:
        deadline = time.monotonic() + self.patience
        while not self._works(*words):
            assert time.monotonic() < deadline, self.complaints[-1]

    def _works(self, *words: str) -> bool:
        try:
            self.client.run(*words)
        except AssertionError as error:
            self.complaints.append(str(error))
            time.sleep(0.2)
            return False
        return True
