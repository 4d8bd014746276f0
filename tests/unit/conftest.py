"""Unit tests are pure: one that takes seconds waits for something that it should not know of."""

from pathlib import Path
from typing import Final

import pytest

_HERE: Final = Path(__file__).parent
_SECONDS: Final = 5
"""Two are plenty on a quiet machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(_SECONDS))
