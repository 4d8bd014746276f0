"""A build followed through its server-sent events, across lost connections."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cli.client import Api, NotThereError
from cli.errors import CommandError

_TRIES: Final = 30
"""So many times in a row without a word: the platform may be restarting for half a minute."""
_PAUSE: Final = 1.0


def follow(api: Api, path: str, show: Callable[[str], None]) -> dict[str, Any]:
    """Each line of the log is shown once; the answer is the build as it ended."""
    reader = _Reader(api, f"{path}/events", show)
    for _ in reader.tries():
        try:
            if (ended := reader.read()) is not None:
                return ended
        except NotThereError:
            raise
        except CommandError as error:
            reader.trouble = error
        time.sleep(_PAUSE)
    raise reader.trouble


@dataclass(slots=True)
class _Reader:
    """``position`` is the byte of the log behind the last line that was shown."""

    api: Api
    path: str
    show: Callable[[str], None]
    position: str = "0"
    silent: int = 0
    trouble: CommandError = field(
        default_factory=lambda: CommandError("the build's events end before the build does")
    )

    def tries(self) -> Iterator[int]:
        while self.silent < _TRIES:
            self.silent += 1
            yield self.silent

    def read(self) -> dict[str, Any] | None:
        """The build when it has ended; None when the connection ends first."""
        for name, number, data in self._events():
            self.position, self.silent = number or self.position, 0
            if name == "log":
                for line in data["lines"]:
                    self.show(line)
            elif name == "end":
                return dict(data)
        return None

    def _events(self) -> Iterator[tuple[str, str, Any]]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self.position}
        name, number = "", ""
        for line in self.api.lines(self.path, headers=headers):
            field, _, value = line.partition(": ")
            match field:
                case "event":
                    name = value
                case "id":
                    number = value
                case "data":
                    yield name, number, json.loads(value)
                    number = ""
