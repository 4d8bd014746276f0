"""Options that every command shares, and how its answer is shown."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import Home, default_root

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="YOKOCHO_HOME",
        help="Folder with everything of one platform. Default: ~/.yokocho (root: /var/lib/yokocho)",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs")]
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted")]


def home_at(given: Path | None) -> Home:
    return Home((given or default_root()).expanduser().resolve())


def show(answer: Any, *, as_json: bool, human: Callable[[], str]) -> None:
    """The answer on standard output: one JSON document, or text."""
    print(json.dumps(answer, indent=1) if as_json else human())


def note(text: str) -> None:
    """For the person at the terminal; programs read standard output."""
    print(text, file=sys.stderr)


def harmless(text: str) -> str:
    """What others named speaks to people, and never to their terminal."""
    return text.translate(_CONTROLS)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as they need to be; the first row is the heading."""
    rows = [tuple(harmless(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
