"""Secrets of a build are kept out of its log, in whatever pieces the tools say them. Pure."""

import base64
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final
from urllib.parse import quote

_SHORTEST: Final = 4
_MASK: Final = b"***"
_LONGEST_LINE: Final = 64 * 1024


class Mask:
    """Bytes in, whole lines out, without the values of ``secrets`` and their base64 forms."""

    def __init__(self, secrets: Collection[str]) -> None:
        forms = {form for value in secrets for form in _forms(value)}
        ordered = sorted(forms, key=len, reverse=True)
        self._longest = len(ordered[0]) if ordered else 0
        self._hidden = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            yield self._shown(line)
        if len(self._rest) > _LONGEST_LINE + self._longest:
            # What might be the beginning of a secret waits for the rest of it.
            masked = self._masked(self._rest)
            cut = len(masked) - self._longest
            self._rest = masked[cut:]
            yield masked[:cut].decode(errors="replace")

    def end(self) -> Iterator[str]:
        if self._rest:
            yield self._shown(self._rest)
        self._rest = b""

    def hide(self, text: str) -> str:
        return self._masked(text.encode()).decode(errors="replace")

    def _shown(self, line: bytes) -> str:
        return self._masked(line.rstrip(b"\r")).decode(errors="replace")

    def _masked(self, data: bytes) -> bytes:
        return self._hidden.sub(_MASK, data) if self._hidden else data


def _forms(value: str) -> Iterator[bytes]:
    """A value of several lines is hidden line by line, as it would be shown."""
    for part in {value, *value.splitlines()}:
        if len(part) >= _SHORTEST:
            raw = part.encode()
            yield raw
            for safe in ("", "/"):
                yield quote(part, safe=safe).encode()
                yield quote(part, safe=safe).lower().encode()
            for encoded in (base64.b64encode, base64.urlsafe_b64encode):
                yield from _inside(encoded, raw)


def _inside(encoded: Callable[[bytes], bytes], raw: bytes) -> Iterator[bytes]:
    """What a value looks like behind no, one or two other bytes: what those leave alone of it."""
    for before in range(3):
        whole = encoded(bytes(before) + raw)
        start = (before * 8 + 5) // 6
        end = (before + len(raw)) * 8 // 6
        if end - start >= _SHORTEST:
            yield whole[start:end]
