"""Steps of the demo: each shows that it runs, how long it took, and its log when it fails."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

_TAIL: Final = 60
_STEP_TIMEOUT_SECONDS: Final = 900


class StepFailedError(Exception):
    """A step that did not do what it should; ``log`` is what its command said."""

    def __init__(self, step: str, why: str, log: str = "") -> None:
        super().__init__(f"{step}: {why}")
        self.step = step
        self.why = why
        self.log = log


@dataclass(slots=True)
class Steps:
    """Runs steps one by one. ``taken`` collects ``(title, seconds)``."""

    console: Console
    folder: Path
    taken: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show ``title`` while the body runs; a terminal gets a spinner, a log file two lines."""
        begun = time.perf_counter()
        if self.console.is_terminal:
            with self.console.status(title):
                yield
        else:
            self.console.print(f"  … {title}", highlight=False)
            yield
        seconds = time.perf_counter() - begun
        self.taken.append((title, seconds))
        self.console.print(f"[green]✓[/green] {title} [dim]{seconds:.1f} s[/dim]", highlight=False)

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> "Running":
        """Start ``command``; its output goes to a file of the step's own name."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(  # our own argv, no shell
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return Running(name, process, log)

    def run(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> str:
        """Run ``command`` to its end and return what it printed."""
        return self.start(name, command, env=env, cwd=cwd).finish()


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was started and not yet waited for."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def finish(self, timeout: float = _STEP_TIMEOUT_SECONDS) -> str:
        """Raises ``StepFailedError`` with the end of the log unless the exit status is 0."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise StepFailedError(
                self.name, f"no end after {timeout:.0f} s", self.tail()
            ) from error
        if status != 0:
            raise StepFailedError(self.name, f"exit status {status}", self.tail())
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
