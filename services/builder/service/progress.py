"""What a build says while it runs: lines of its log, and steps with their durations."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from services.builder.domain import NOTHING, Given, Planned, Report, Step


class Progress:
    """``log`` is the file that readers follow; ``said`` is called when there is more of it."""

    def __init__(self, log: Path, *, said: Callable[[], None] = lambda: None) -> None:
        self.log = log
        self._said = said
        self.steps: list[Step] = []
        self.layers_pushed = 0
        self.layers_reused = 0
        self.planned: Planned | None = None
        """Where nothing has to be made: it is written down with the end."""
        self._given = NOTHING

    def hide(self, given: Given) -> None:
        """None of its values is shown from now on."""
        self._given = given

    def shown(self, text: str) -> str:
        return self._given.hide(text)

    @property
    def report(self) -> Report:
        return Report(tuple(self.steps), self.layers_pushed, self.layers_reused, self.planned)

    def note(self, line: str) -> None:
        """A full disk takes no words: the build's end has them all the same."""
        with suppress(OSError), self.log.open("a") as out:
            out.write(f"{self.shown(line)}\n")
        self._said()

    def print(self, text: str) -> None:
        """What a program said, as it said it."""
        with suppress(OSError), self.log.open("a") as out:
            out.write(self.shown(text))
        self._said()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, number = time.monotonic(), len(self.steps)
        self.steps.append(Step(name, datetime.now(UTC)))
        self.note(f"--- {name}")
        try:
            yield
        finally:
            seconds = round(time.monotonic() - began, 3)
            self.steps[number] = replace(self.steps[number], seconds=seconds)
            self.note(f"    {seconds:.2f} s")
