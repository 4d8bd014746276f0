"""Variables that a build is given in secret. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from services.builder.domain.masking import Mask

_USERINFO: Final = re.compile(r"://([^/@\s]*)@")
Marks = tuple[tuple[str, str], ...]
"""Names, and what tells their values apart to nobody but this builder."""


@dataclass(frozen=True, slots=True)
class Given:
    """Never stored, logged or shown but for its ``marks``.

    ``marks`` are of the values; ``places`` are of where they lead, whoever asks there: a new
    password changes those, but not these.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    marks: Marks = ()
    places: Marks = ()
    cache: Path | None = None
    """What was fetched with them is kept here: nobody else finds it."""

    def __bool__(self) -> bool:
        return bool(self.variables)

    @property
    def names(self) -> str:
        return ", ".join(sorted(self.variables))

    def hide(self, text: str) -> str:
        return Mask(list(_parts(self.variables))).hide(text) if self.variables else text


NOTHING: Final = Given()


def _parts(variables: Mapping[str, str]) -> Iterator[str]:
    """Values, and what is secret in addresses: tools show the rest of them."""
    for value in variables.values():
        yield value
        for found in _USERINFO.findall(value):
            for each in (found, unquote(found)):
                yield each
                yield each.partition(":")[2]


def without_userinfo(value: str) -> str:
    return _USERINFO.sub("://", value)
