"""What can be asked for in a manifest: its metadata, flattened."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

MAX_FACTS: Final = 256
_KEY: Final = 256
_WORD: Final = 1024
_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Fact:
    """One of ``number`` and ``word`` is there."""

    key: str
    number: float | None = None
    word: str | None = None


def facts_of(manifest: Mapping[str, Any]) -> list[Fact]:
    """The first 256 scalars of ``metadata``; what is longer than a kibibyte is no scalar."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        return []
    found = {each.key: each for each in islice(_walk(metadata, "", _DEPTH), MAX_FACTS)}
    return list(found.values())


def _walk(value: Mapping[str, Any], above: str, depth: int) -> Iterator[Fact]:
    for name, each in value.items():
        key = f"{above}{name}"
        if len(key) > _KEY or "\0" in key:
            continue
        match each:
            case bool():
                yield Fact(key, word="true" if each else "false")
            case int() | float() if abs(each) < 2**1000 and math.isfinite(each):
                yield Fact(key, number=float(each))
            case str() if len(each) <= _WORD and "\0" not in each:
                yield Fact(key, word=each)
            case Mapping() if depth:
                yield from _walk(each, f"{key}.", depth - 1)
