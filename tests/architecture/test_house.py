"""What a stranger relies on: the two commands, the locks, links that lead somewhere."""

import os
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

from tests.support.sources import ROOT, committed

_WORDS: Final = ("demo", "up", "down", "test", "check", "bench", "soak", "docs", "lock", "help")
_CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK: Final = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_FOREIGN: Final = {
    "a package registry's host": r"pypi{d}org|pythonhosted{d}org|npmjs{d}(org|com)|"
    r"deb{d}debian{d}org|proxy{d}golang{d}org|crates{d}io",
    "a path of one machine": r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work)/",
}
_PATTERNS: Final = {
    what: re.compile(pattern.replace("{d}", r"\.")) for what, pattern in _FOREIGN.items()
}
_MARKDOWN: Final = [path for path in committed() if path.suffix == ".md"]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("word", _WORDS)
def test_make_knows_the_word(word: str) -> None:
    assert re.search(rf"^{word}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_ci_runs_the_command_of_the_readme() -> None:
    run = ROOT / ".ci/run"

    assert "make test" in run.read_text().splitlines()
    assert "$ make test" in (ROOT / "README.md").read_text()
    assert os.access(run, os.X_OK)
    assert subprocess.run(["bash", "-n", run], check=False).returncode == 0


def test_every_requirement_is_locked(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    wanted = chain(project["project"]["dependencies"], *extras.values())
    named = [each for each in map(Requirement, wanted) if each.name != "yokocho"]

    assert _missing(named, "runtime.txt") == []
    assert (
        _missing([*named, *map(Requirement, project["dependency-groups"]["dev"])], "dev.txt") == []
    )


def test_locks_agree_and_every_line_has_a_hash() -> None:
    runtime, dev, uv = (_pins(name) for name in ("runtime.txt", "dev.txt", "uv.txt"))

    assert runtime.items() <= dev.items()
    assert uv.items() <= runtime.items()
    for name in ("runtime.txt", "dev.txt", "uv.txt"):
        text = (ROOT / "requirements" / name).read_text()
        assert len(_PINNED.findall(text)) == len(re.findall(r"\\\n +--hash=[^\n]*\n(?! )", text))


@pytest.mark.parametrize("path", _MARKDOWN, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    targets = _LINK.findall(_CODE.sub("", (ROOT / path).read_text()))

    assert [each for each in targets if not (ROOT / path.parent / each).exists()] == []


@pytest.mark.parametrize("what", _PATTERNS)
def test_no_committed_file_names(what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in committed()
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if _PATTERNS[what].search(line)
    ]

    assert not found


def _text(path: Path) -> str:
    if path == Path(__file__).relative_to(ROOT):
        return ""
    return (ROOT / path).read_text(errors="replace")


def _pins(name: str) -> dict[str, str]:
    found = _PINNED.findall((ROOT / "requirements" / name).read_text())
    return {_normal(package): version for package, version in found}


def _missing(wanted: list[Requirement], name: str) -> list[str]:
    pins = _pins(name)
    return [str(each) for each in wanted if pins.get(_normal(each.name), "") not in each.specifier]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
