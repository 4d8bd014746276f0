"""Queries with a price that nobody sees who writes them."""

import re
from pathlib import Path
from typing import Final

from tests.support.sources import PROGRAM, ROOT, modules

_ARRAY: Final = re.compile(
    r"(?:\bANY|\bALL|\bunnest)\s*\(\$\d+(?!\d*::text\[\])|\$\d+::(?!text)\w+\[\]"
)
_SESSION: Final = re.compile(
    r"pg_(?:try_)?advisory_(?:lock|unlock)|set_config\([^)]*false\)|\bSET SESSION\b|\bCREATE TEMP"
    r"|\.add_listener\("
)
_OWN: Final = Path("libs/chassis/migrate.py")
"""It has a connection of its own, in no pool."""


def test_arrays_are_given_as_texts() -> None:
    """Of every other kind asyncpg asks the server first, on each connection: 10 ms a time."""
    found = [
        f"{path}: {each.group()}"
        for path in modules(*PROGRAM)
        for each in _ARRAY.finditer((ROOT / path).read_text())
    ]
    assert not found, "pass texts(...) as $n::text[]::uuid[]"


def test_no_query_changes_its_session() -> None:
    """Connections go back to their pool as they are."""
    found = [
        f"{path}: {each.group()}"
        for path in modules(*PROGRAM)
        if path != _OWN
        for each in _SESSION.finditer((ROOT / path).read_text())
    ]
    assert not found, "lock and set within the transaction: pg_…_xact_…, SET LOCAL, is_local"
