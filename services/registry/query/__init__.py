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
    "compile_query",
    "facts_of",
    "parse",
]
