"""What a person sees meanwhile: bars on a terminal, a line for each version anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cli.client import Readable
from cli.options import harmless, note


class Shown(Protocol):
    def expect(self, versions: int) -> None:
        """So many are to come."""

    def begin(self, what: str, size_bytes: int | None = None) -> None:
        """Of the bytes under way; None where nobody knows how many there will be."""

    def advance(self, size_bytes: int) -> None: ...

    def step(self) -> None:
        """One version is done with."""

    def line(self, text: str) -> None:
        """What bars say in their own way."""

    def say(self, text: str) -> None:
        """What is to be read, however the rest is shown."""


class Lines:
    def expect(self, versions: int) -> None: ...

    def begin(self, what: str, size_bytes: int | None = None) -> None: ...

    def advance(self, size_bytes: int) -> None: ...

    def step(self) -> None: ...

    def line(self, text: str) -> None:
        note(harmless(text))

    def say(self, text: str) -> None:
        note(harmless(text))


class Bars:
    """Two: the bytes of the version under way, and the versions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bytes = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._versions = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._version = self._bytes.add_task("", visible=False)
        self._all = self._versions.add_task("versions", total=None)
        self.rows = Group(self._bytes, self._versions)

    def expect(self, versions: int) -> None:
        self._versions.update(self._all, total=versions)

    def begin(self, what: str, size_bytes: int | None = None) -> None:
        """A task of its own each: speed and time are not those of the one before."""
        self._bytes.remove_task(self._version)
        self._version = self._bytes.add_task(harmless(what), total=size_bytes)

    def advance(self, size_bytes: int) -> None:
        self._bytes.advance(self._version, size_bytes)

    def step(self) -> None:
        self._versions.advance(self._all)

    def line(self, text: str) -> None: ...

    def say(self, text: str) -> None:
        self._console.print(harmless(text), markup=False, highlight=False, soft_wrap=True)


class Metered:
    """A file whose readers are watched."""

    def __init__(self, file: Readable, advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(size)
        self._advance(len(piece))
        return piece


@contextmanager
def shown() -> Iterator[Shown]:
    """For as long as something is carried."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield Lines()
        return
    bars = Bars(console)
    with Live(bars.rows, console=console, transient=True):
        yield bars
