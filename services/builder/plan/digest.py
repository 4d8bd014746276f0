"""Names for values: the same value has the same digest, on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

FORMAT: Final = 1
"""Raised when the same inputs are to be built differently from now on."""


def digest(value: Sequence[Any] | Mapping[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
