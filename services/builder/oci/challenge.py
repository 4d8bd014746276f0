"""How a registry asks who is there: ``WWW-Authenticate``, read whatever it looks like."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 2**14
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for a word
_PIECE: Final = re.compile(
    rf"[\s,]*(?:(?P<name>{_TOKEN})\s*=\s*"
    rf'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]*))'
    rf"|(?P<scheme>{_TOKEN})(?:\s+(?P<opaque>[A-Za-z0-9._~+/-]+=*)(?=\s*(?:,|$)))?)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` and names of parameters in small letters, which they mean."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """All that is understood before the first thing that is not."""
    found: list[Challenge] = []
    for scheme, name, value in _pieces(header[:_LONGEST]):
        if scheme:
            found.append(Challenge(scheme.lower(), {}))
        elif found:
            last = found.pop()
            found.append(Challenge(last.scheme, {name.lower(): value, **last.parameters}))
    return found


def _pieces(header: str) -> Iterator[tuple[str, str, str]]:
    at = 0
    while (piece := _PIECE.match(header, at)) is not None:
        at = piece.end()
        quoted = piece["quoted"]
        value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted else piece["bare"] or ""
        yield piece["scheme"] or "", piece["name"] or "", value
