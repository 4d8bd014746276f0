"""Decisions are short, say what they were weighed against, and what enforces them."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.sources import ROOT

_PAGES: Final = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
_NAMED: Final = re.compile(r"`([^`]+)`")
_SECTIONS: Final = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.stem)
def test_a_decision_is_one_short_page(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= 30
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == _SECTIONS


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.stem)
def test_what_enforces_a_decision_exists(path: Path) -> None:
    named = _NAMED.findall(path.read_text().partition("## Enforced by")[2])

    assert [each for each in named if not _exists(each)] == []
    assert any(_has_tests(ROOT / each) for each in named)


@pytest.mark.parametrize(
    ("named", "is_there"),
    [
        ("tests/architecture/test_decisions.py", True),
        ("tests/architecture", False),
        ("tests/architecture/test_gone.py", False),
        ("tests/conftest.py", False),
        ("make bench-platform", True),
        ("make bench-gone", False),
        ("os.fork", True),
        ("shutil.unpack_archive", True),
        ("os.gone", False),
        ("[tool.importlinter]", True),
        ("[tool.gone]", False),
    ],
)
def test_what_does_not_exist_enforces_nothing(named: str, *, is_there: bool) -> None:
    assert _exists(named) is is_there


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in _PAGES] == list(range(1, len(_PAGES) + 1))


def _exists(named: str) -> bool:
    """A test, a benchmark, the project file, one of its sections, or a call that is banned."""
    if named.startswith("make bench-"):
        return (ROOT / "bench" / f"{named.removeprefix('make bench-')}.py").is_file()
    if named.startswith("tests/"):
        return _has_tests(ROOT / named)
    project = (ROOT / "pyproject.toml").read_text()
    if named.startswith("["):
        return f"\n{named}\n" in project
    bans = _joined((ROOT / "tests/architecture/test_banned_calls.py").read_text())
    return named == "pyproject.toml" or f'\n"{named}".msg' in project or f'Ban("{named}"' in bans


def _joined(text: str) -> str:
    """Calls that the formatter has spread over lines."""
    return re.sub(r"\(\s+", "(", text)


def _has_tests(path: Path) -> bool:
    """A folder is no answer: what lies in it comes and goes."""
    return path.is_file() and "\ndef test_" in path.read_text().replace("\nasync def", "\ndef")
