"""The timeline of events that a deployment left in the log. Pure: events in, rows out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_FACTS: Final = (
    "repository",
    "version",
    "deployment",
    "revision",
    "generation",
    "reused",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One event: when, how long after the one before, what, and its telling facts."""

    at: datetime
    after_seconds: float
    name: str
    facts: str
    actor: str


def timeline(events: Iterable[dict[str, Any]]) -> list[Row]:
    """Rows in the order in which things happened (``time``), not in which they were logged."""
    rows: list[Row] = []
    for event in sorted(events, key=lambda each: datetime.fromisoformat(each["time"])):
        at = datetime.fromisoformat(event["time"])
        waited = (at - rows[-1].at).total_seconds() if rows else 0.0
        rows.append(Row(at, waited, _name(event), _facts(event["data"]), event["actor"]))
    return rows


def _name(event: dict[str, Any]) -> str:
    return str(event["type"]).removeprefix("dev.yokocho.").rpartition(".v")[0]


def _facts(data: dict[str, Any]) -> str:
    shown = (
        f"{name}={str(data[name])[:60]}" for name in _FACTS if data.get(name) not in (None, "")
    )
    return " ".join(shown)
