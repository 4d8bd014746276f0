"""From a query to a condition with parameters: no text of a caller is ever part of a statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime

from services.registry.query.grammar import (
    And,
    Comparison,
    Exists,
    Expression,
    Field,
    Not,
    Or,
    Query,
    QueryError,
    Space,
    Value,
)
from services.registry.query.order import NEWEST, Key, behind, order_by

_OWN: Final = {
    "name": "r.name",
    "version": "v.version",
    "created": "v.created_at",
    "size": "coalesce(b.size_bytes, 0)",
}
_NAMED: Final = "SELECT id FROM repository WHERE org_id = $1 AND kind = $2 AND name ="
"""Versions of one repository have an index of their own."""
_KINDS: Final = {"name": str, "version": str, "created": AwareDatetime, "size": int}
_TYPES: Final = {
    float: "double precision",
    int: "bigint",
    datetime: "timestamptz",
    UUID: "uuid",
}
_SQL: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL over ``version v``, ``repository r`` and ``blob b``; ``values`` begin at ``first``.

    ``$1`` is the organisation, ``$2`` the kind.
    ``keys`` are what the rows are sorted by: those of the last one make the next page's cursor.
    """

    where: str
    keys: tuple[Key, ...]
    join: str
    values: tuple[Any, ...]

    @property
    def order(self) -> str:
        return order_by(self.keys)


def keys_of(query: Query) -> tuple[Any, ...]:
    """Of which kind each key of a cursor is."""
    return tuple(
        each.kind | None if each.nullable else each.kind
        for each in _Compiler(1).sorted_by(query)[1]
    )


def compile_query(query: Query, *, first: int, after: Sequence[object] = ()) -> Compiled:
    """Rows behind the one whose keys are ``after``; without them, all that fit.

    Raises ``QueryError`` where a value cannot be compared with its field.
    """
    compiler = _Compiler(first)
    where = compiler.condition(query.where) if query.where is not None else "true"
    join, keys = compiler.sorted_by(query)
    if after:
        where = f"{where} AND {behind(keys, after, compiler.parameter)}"
    return Compiled(where, keys, join, tuple(compiler.values))


class _Compiler:
    def __init__(self, first: int) -> None:
        self._first = first
        self.values: list[Any] = []

    def condition(self, expression: Expression) -> str:
        match expression:
            case And(operands):
                return f"({' AND '.join(map(self.condition, operands))})"
            case Or(operands):
                return f"({' OR '.join(map(self.condition, operands))})"
            case Not(operand):
                return f"(NOT {self.condition(operand)})"
            case Exists(field):
                return self._exists(field)
            case Comparison(field, "!=", (value,)):
                return f"(NOT {self._any(field, '=', value)})"
            case Comparison(field, operator, values):
                return f"({' OR '.join(self._any(field, operator, each) for each in values)})"

    def sorted_by(self, query: Query) -> tuple[str, tuple[Key, ...]]:
        """What is joined for it, and the keys."""
        way = query.descending
        match query.sort:
            case None:
                return "", NEWEST
            case Field(Space.OWN, key):
                return "", (Key(_OWN[key], _KINDS[key], descending=way), *NEWEST)
            case Field(Space.LABEL, key):
                label = f"(v.labels ->> {self.parameter(key)})"
                return "", (Key(label, str, descending=way, nullable=True), *NEWEST)
            case Field(_, key):
                at = self.parameter(key)
                return f"LEFT JOIN fact s ON s.version_id = v.id AND s.key = {at}", (
                    Key("s.number", float, descending=way, nullable=True),
                    Key("s.word", str, descending=way, nullable=True),
                    *NEWEST,
                )

    def _exists(self, field: Field) -> str:
        match field:
            case Field(Space.OWN, _):
                return "true"
            case Field(Space.LABEL, key):
                return f"(v.labels ? {self.parameter(key)})"
            case Field(_, key):
                return f"EXISTS ({self._fact(key)})"

    def _any(self, field: Field, operator: str, value: Value) -> str:
        """False, never NULL, where there is no such field: ``not`` then means what it says."""
        match field:
            case Field(Space.OWN, "name") if operator == "=":
                return f"v.repository_id = ANY (ARRAY({_NAMED} {self.parameter(_word(value))}))"
            case Field(Space.OWN, key):
                return self._compare(_OWN[key], operator, _fitting(key, value))
            case Field(Space.LABEL, key) if operator == "=":
                pair = f"{self.parameter(key)}, {self.parameter(_word(value))}"
                return f"(v.labels @> jsonb_build_object({pair}))"
            case Field(Space.LABEL, key):
                at = f"v.labels ->> {self.parameter(key)}"
                return f"coalesce({self._compare(at, operator, _word(value))}, false)"
            case Field(_, key):
                column = "f.number" if isinstance(value, float) else "f.word"
                own = value if isinstance(value, float) else _word(value)
                fact = self._fact(key)
                return f"EXISTS ({fact} AND {self._compare(column, operator, own)})"

    def _fact(self, key: str) -> str:
        return f"SELECT FROM fact f WHERE f.version_id = v.id AND f.key = {self.parameter(key)}"

    def _compare(self, column: str, operator: str, value: object) -> str:
        if operator == "~":
            return f"strpos({column}::text, {self.parameter(_word(value))}) > 0"
        return f"{column} {_SQL[operator]} {self.parameter(value)}"

    def parameter(self, value: object) -> str:
        self.values.append(value)
        return f"${self._first + len(self.values) - 1}::{_TYPES.get(type(value), 'text')}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _fitting(key: str, value: Value) -> object:
    """``value`` as the field's own type."""
    if key == "size":
        if not isinstance(value, float):
            raise QueryError("size is compared with a number of bytes", 0)
        return value
    if key == "created":
        try:
            moment = datetime.fromisoformat(_word(value))
        except ValueError as error:
            raise QueryError('created is compared with a date, as "2026-11-20"', 0) from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _word(value)
