"""In which order rows come, and which of them are behind a given one: pages without offsets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime

Parameter = Callable[[object], str]
"""Makes a value a parameter of the statement; how that one is written."""


@dataclass(frozen=True, slots=True)
class Key:
    """One of what rows are sorted by. ``kind`` is what a cursor holds of it."""

    sql: str
    kind: Any
    descending: bool = False
    nullable: bool = False
    """Rows without it come last, whichever the direction."""

    @property
    def order(self) -> str:
        return f"{self.sql}{' DESC' if self.descending else ''}{' NULLS LAST' * self.nullable}"

    def after(self, value: object, parameter: Parameter) -> str:
        if value is None:
            return "false"
        behind = f"{self.sql} {'<' if self.descending else '>'} {parameter(value)}"
        return f"({behind} OR {self.sql} IS NULL)" if self.nullable else behind

    def same(self, value: object, parameter: Parameter) -> str:
        return f"{self.sql} IS NULL" if value is None else f"{self.sql} = {parameter(value)}"


NEWEST: Final = (
    Key("v.created_at", AwareDatetime, descending=True),
    Key("v.id", UUID, descending=True),
)


def order_by(keys: Sequence[Key]) -> str:
    return ", ".join(each.order for each in keys)


def behind(keys: Sequence[Key], values: Sequence[object], parameter: Parameter) -> str:
    """A condition for the rows that come after the one with these keys."""
    if tuple(keys) == NEWEST:  # an index can be entered at a row, not at a disjunction
        first, second = values
        return f"(v.created_at, v.id) < ({parameter(first)}, {parameter(second)})"
    ways = []
    for index, key in enumerate(keys):
        before = [
            each.same(value, parameter)
            for each, value in zip(keys[:index], values[:index], strict=True)
        ]
        ways.append(" AND ".join([*before, key.after(values[index], parameter)]))
    return f"({' OR '.join(f'({way})' for way in ways)})"
