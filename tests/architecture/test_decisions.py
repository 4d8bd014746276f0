"""Decisions are short, say what they were weighed against, and what enforces them."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.sources import ROOT

_PAGES: Final = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
_SECTIONS: Final = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.stem)
def test_a_decision_is_one_short_page(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= 30
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == _SECTIONS


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in _PAGES] == list(range(1, len(_PAGES) + 1))
