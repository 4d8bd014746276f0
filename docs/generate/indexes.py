"""Indexes of docs/problems and docs/decisions, made of the pages' own first words."""

import re
from pathlib import Path
from typing import Final

from docs.generate.markdown import page, table

_STATUS: Final = re.compile(r"^\*\*(\d{3}[^*]*|In `[^*]*`)\.\*\*\s*(.*)", re.DOTALL)
_SENTENCE: Final = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)
_PROBLEMS: Final = """\
Errors are answered as `application/problem+json` (RFC 9457). `type` is `/problems/<code>`, and
each code has a page here: what it means and what the caller can do. `detail` says what happened
this time; further members are facts that a program may rely on. `message` and `error` repeat the
detail for the BentoML client, which prints them.

What fails after a request was answered is said by an event, whose `code` has a page here too: its
status names the event. `deployment.failed` repeats the code of the image that it waited for."""
_DECISIONS: Final = """\
What a newcomer would ask "why?" about, in thirty lines each; the last section says what enforces
it. A decision is not edited when it changes: a new one supersedes it."""


def problems_index(folder: Path) -> str:
    """A page says its status, or its event, first in bold, and then what the problem means."""
    rows = []
    for path in _pages(folder):
        heading, _, body = path.read_text().partition("\n")
        status = _STATUS.match(body.strip())
        number, meaning = (status[1], status[2]) if status else ("", body.strip())
        rows.append((f"[{heading.removeprefix('# ')}]({path.name})", number, _first(meaning)))
    return page(
        "# Problems",
        _PROBLEMS,
        table(("code", "status", "meaning"), rows),
    )


def decisions_index(folder: Path) -> str:
    rows = []
    for path in _pages(folder):
        heading = path.read_text().partition("\n")[0].removeprefix("# ")
        rows.append((f"[{path.name[:4]}]({path.name})", heading))
    return page(
        "# Decisions",
        _DECISIONS,
        table(("", "decision"), rows),
    )


def _pages(folder: Path) -> list[Path]:
    return sorted(each for each in folder.glob("*.md") if each.name != "README.md")


def _first(text: str) -> str:
    found = _SENTENCE.match(text)
    return " ".join((found[1] if found else text).split())
