"""Every refusal has a page that says its status and what the caller can do."""

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.problems import STATUS
from tests.support.sources import ROOT, modules

_PAGES: Final = ROOT / "docs/problems"
_CODE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@pytest.fixture(scope="module")
def errors() -> dict[str, list[type[ServiceError]]]:
    for path in modules("libs/chassis", "services"):
        if "ServiceError" in (ROOT / path).read_text():
            importlib.import_module(".".join(path.with_suffix("").parts))
    found: dict[str, list[type[ServiceError]]] = {}
    for each in _descendants(ServiceError):
        if each.__module__.startswith(("libs.", "services.")) and "code" in vars(each):
            found.setdefault(each.code, []).append(each)
    return found


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(Kind)


def test_every_code_has_a_page(errors: dict[str, list[type[ServiceError]]]) -> None:
    assert sorted(code for code in errors if not (_PAGES / f"{code}.md").exists()) == []


def test_every_page_has_a_code(errors: dict[str, list[type[ServiceError]]]) -> None:
    pages = {path.stem for path in _PAGES.glob("*.md")} - {"README"}

    assert sorted(pages - set(errors)) == []


def test_codes_are_slugs_and_mean_one_kind(errors: dict[str, list[type[ServiceError]]]) -> None:
    assert [code for code in errors if not _CODE.fullmatch(code)] == []
    assert [code for code, said in errors.items() if len({each.kind for each in said}) > 1] == []


def test_a_page_begins_with_its_code_and_status(
    errors: dict[str, list[type[ServiceError]]],
) -> None:
    wrong = [
        path.name
        for code, [error, *_] in errors.items()
        if (path := _PAGES / f"{code}.md").exists() and not _begins_well(path, error)
    ]

    assert wrong == []


def _begins_well(path: Path, error: type[ServiceError]) -> bool:
    # a body that is no JSON is told apart from one of the wrong form, within one kind
    statuses = {STATUS[error.kind], *({400} if error.code == "body-malformed" else ())}
    text = path.read_text()
    return any(text.startswith(f"# {error.code}\n\n**{status}") for status in statuses)


def _descendants(error: type[ServiceError]) -> list[type[ServiceError]]:
    return [each for sub in error.__subclasses__() for each in (sub, *_descendants(sub))]
