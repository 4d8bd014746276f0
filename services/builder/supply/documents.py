"""JSON as bytes: written in one way only, and read within limits."""

import json
from typing import Any, Final, NoReturn

from services.builder.errors import SupplyError

DEPTH: Final = 32
"""How deep a document of others may nest. What we write is less than half of it."""


def canonical(value: Any) -> bytes:
    """One value, one text: sorted, and without a space."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def parsed(data: bytes, *, what: str, limit: int) -> dict[str, Any]:
    """The object in ``data``. A key that is there twice is refused: two readers would differ."""
    if len(data) > limit:
        raise SupplyError(f"{what} has {len(data)} bytes, and {limit} are the most")
    try:
        value = json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise SupplyError(f"{what} is no JSON that can be read: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise SupplyError(f"{what} is not a JSON object")
    _measure(value, what)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _measure(value: Any, what: str) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise SupplyError(f"{what} nests deeper than {DEPTH}")


def _inside(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value
    return [each for each in inner if isinstance(each, dict | list)]
