"""What a query is made of. docs/queries.md is the grammar in words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = float | str | bool


class QueryError(ValueError):
    """``at`` is the place in the text, counted from 0, where it stops making sense."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(f"{why} (at character {at + 1})")
        self.at = at


class Space(StrEnum):
    """Where a field is looked up."""

    OWN = "own"  # name, version, created, size
    LABEL = "label"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Field:
    space: Space
    key: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operator`` is one of ``= != < <= > >= ~`` (contains); any of ``values`` will do."""

    field: Field
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    field: Field


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple["Expression", ...]


Expression: TypeAlias = Comparison | Exists | Not | And | Or


@dataclass(frozen=True, slots=True)
class Query:
    """No ``where`` means everything; no ``sort`` means newest first."""

    where: Expression | None = None
    sort: Field | None = None
    descending: bool = False
