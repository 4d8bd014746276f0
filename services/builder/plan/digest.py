"""Names for values: the same value has the same digest, on every machine."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from libs.contracts.types import digest_of

FORMAT: Final = 1
"""Raised when the same inputs are to be built differently from now on."""


def digest(value: Sequence[Any] | Mapping[str, Any]) -> str:
    return digest_of(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())
