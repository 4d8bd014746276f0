"""From a query to a condition with parameters: no text of a caller is ever part of a statement."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

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

_OWN: Final = {
    "name": "r.name",
    "version": "v.version",
    "created": "v.created_at",
    "size": "coalesce(b.size_bytes, 0)",
}
_SQL: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL over ``version v``, ``repository r`` and ``blob b``; ``values`` begin at ``first``."""

    where: str
    order: str
    values: tuple[Any, ...]


def compile_query(query: Query, *, first: int) -> Compiled:
    """Raises ``QueryError`` where a value cannot be compared with its field."""
    compiler = _Compiler(first)
    where = compiler.condition(query.where) if query.where is not None else "true"
    order = compiler.order(query)
    return Compiled(where, order, tuple(compiler.values))


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

    def order(self, query: Query) -> str:
        if query.sort is None:
            return "v.created_at DESC, v.id DESC"
        way = "DESC" if query.descending else "ASC"
        match query.sort:
            case Field(Space.OWN, key):
                return f"{_OWN[key]} {way}, v.created_at DESC, v.id DESC"
            case Field(Space.LABEL, key):
                label = f"v.labels ->> {self._value(key)}"
                return f"{label} {way} NULLS LAST, v.created_at DESC, v.id DESC"
            case Field(_, key):
                at = self._value(key)
                fact = "FROM fact f WHERE f.version_id = v.id AND f.key = "
                return (
                    f"(SELECT f.number {fact}{at}) {way} NULLS LAST, "
                    f"(SELECT f.word {fact}{at}) {way} NULLS LAST, v.created_at DESC, v.id DESC"
                )

    def _exists(self, field: Field) -> str:
        match field:
            case Field(Space.OWN, _):
                return "true"
            case Field(Space.LABEL, key):
                return f"(v.labels ? {self._value(key)})"
            case Field(_, key):
                return f"EXISTS ({self._fact(key)})"

    def _any(self, field: Field, operator: str, value: Value) -> str:
        """False, never NULL, where there is no such field: ``not`` then means what it says."""
        match field:
            case Field(Space.OWN, key):
                return self._compare(_OWN[key], operator, _fitting(key, value))
            case Field(Space.LABEL, key):
                at = f"v.labels ->> {self._value(key)}"
                return f"coalesce({self._compare(at, operator, _word(value))}, false)"
            case Field(_, key):
                column = "f.number" if isinstance(value, float) else "f.word"
                own = value if isinstance(value, float) else _word(value)
                fact = self._fact(key)
                return f"EXISTS ({fact} AND {self._compare(column, operator, own)})"

    def _fact(self, key: str) -> str:
        return f"SELECT FROM fact f WHERE f.version_id = v.id AND f.key = {self._value(key)}"

    def _compare(self, column: str, operator: str, value: object) -> str:
        if operator == "~":
            return f"strpos({column}::text, {self._value(_word(value))}) > 0"
        return f"{column} {_SQL[operator]} {self._value(value)}"

    def _value(self, value: object) -> str:
        kinds = {float: "double precision", int: "bigint", datetime: "timestamptz"}
        self.values.append(value)
        return f"${self._first + len(self.values) - 1}::{kinds.get(type(value), 'text')}"


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
