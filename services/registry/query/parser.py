"""From text to a query: recursive descent with a bound on everything."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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

MAX_CHARACTERS: Final = 4096
MAX_TESTS: Final = 32
"""Each costs an index lookup per candidate; together they bound what a query may cost."""
MAX_DEPTH: Final = 32
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<moment>\d{4}-\d\d-\d\d[\w:.+-]*)
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<operator><=|>=|!=|[=<>~(),])
      | (?P<word>[A-Za-z0-9_][\w.\-/]*)
    )""",
    re.VERBOSE,
)
_OPERATORS: Final = frozenset({"=", "!=", "<", "<=", ">", ">=", "~"})
_RESERVED: Final = frozenset({"and", "or", "not", "in", "exists", "sort", "by", "asc", "desc"})
_OWN: Final = frozenset({"name", "version", "created", "size"})
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Query:
    """Raises ``QueryError`` with the place."""
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"a query has at most {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), _Token("end", "", len(text))]
        self._next = 0
        self._tests = 0
        self._depth = 0

    def query(self) -> Query:
        where = None if self._is("end", "sort") else self._or()
        sort, descending = None, False
        if self._took("sort"):
            self._must("by")
            sort = self._field()
            descending = self._took("desc")
            if not descending:
                self._took("asc")
        if not self._is("end"):
            raise QueryError("expected 'and', 'or', 'sort by' or the end", self._token.at)
        return Query(where, sort, descending)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _is(self, *wanted: str) -> bool:
        token = self._token
        word = token.text.lower() if token.kind == "word" else token.text
        return token.kind in wanted if token.kind == "end" else word in wanted

    def _took(self, wanted: str) -> bool:
        if self._token.kind != "string" and self._is(wanted):
            self._next += 1
            return True
        return False

    def _must(self, wanted: str) -> None:
        if not self._took(wanted):
            raise QueryError(f"expected '{wanted}'", self._token.at)

    def _or(self) -> Expression:
        found = [self._and()]
        while self._took("or"):
            found.append(self._and())
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _and(self) -> Expression:
        found = [self._not()]
        while self._took("and"):
            found.append(self._not())
        return found[0] if len(found) == 1 else And(tuple(found))

    def _not(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise QueryError(f"nested more than {MAX_DEPTH} deep", self._token.at)
        try:
            if self._took("not"):
                return Not(self._not())
            if self._took("("):
                inner = self._or()
                self._must(")")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Expression:
        at = self._token.at
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise QueryError(f"more than {MAX_TESTS} conditions", at)
        field = self._field()
        if self._took("exists"):
            return Exists(field)
        if self._took("in"):
            return Comparison(field, "=", self._values())
        operator = self._token
        if operator.kind != "operator" or operator.text not in _OPERATORS:
            raise QueryError("expected a comparison, 'in' or 'exists'", operator.at)
        self._next += 1
        return Comparison(field, operator.text, (self._value(),))

    def _values(self) -> tuple[Value, ...]:
        self._must("(")
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
            if len(values) > MAX_TESTS:
                raise QueryError(f"more than {MAX_TESTS} values", self._token.at)
        self._must(")")
        return tuple(values)

    def _field(self) -> Field:
        token = self._token
        if token.kind == "string":
            self._next += 1
            return Field(Space.METADATA, _unquoted(token.text))
        if token.kind != "word" or token.text.lower() in _RESERVED:
            raise QueryError("expected a field", token.at)
        self._next += 1
        space, dot, key = token.text.partition(".")
        if dot and key and space in {Space.LABEL, Space.METADATA}:
            return Field(Space(space), key)
        if token.text in _OWN:
            return Field(Space.OWN, token.text)
        return Field(Space.METADATA, token.text)

    def _value(self) -> Value:
        token = self._token
        if token.kind not in {"string", "number", "moment", "word"} or self._is(*_RESERVED):
            raise QueryError("expected a value: a number, a word or a text in quotes", token.at)
        self._next += 1
        if token.kind == "string":
            return _unquoted(token.text)
        if token.kind == "number":
            return float(token.text)
        return _BOOLEANS.get(token.text.lower(), token.text)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise QueryError(f"{text[place]!r} makes no sense here", place)
        yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
        at = found.end()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
