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
from services.registry.query.sql import Compiled, compile_query, keys_of
from services.registry.query.wire import UPLOADED, Filter, Term, WireQuery, compile_wire, parse_wire

__all__ = [
    "UPLOADED",
    "And",
    "Comparison",
    "Compiled",
    "Exists",
    "Fact",
    "Field",
    "Filter",
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
    "keys_of",
    "parse",
    "parse_wire",
]
