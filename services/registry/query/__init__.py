"""The language in which versions are asked for: ``accuracy > 0.9 and not label.stage = "dev"``."""

from services.registry.query.facts import Fact, facts_of
from services.registry.query.grammar import (
    And,
    Comparison,
    Exists,
    Field,
    Not,
    Or,
    Query,
    QueryError,
    Space,
)
from services.registry.query.parser import parse
from services.registry.query.sql import Compiled, compile_query
from services.registry.query.wire import Term, WireQuery, compile_wire, parse_wire

__all__ = [
    "And",
    "Comparison",
    "Compiled",
    "Exists",
    "Fact",
    "Field",
    "Not",
    "Or",
    "Query",
    "QueryError",
    "Space",
    "Term",
    "WireQuery",
    "compile_query",
    "compile_wire",
    "facts_of",
    "parse",
    "parse_wire",
]
