"""Every refusal, and every failure that an event tells of, has a page that says what to do."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.problems import STATUS
from tests.support.sources import ROOT, modules, tree

_PAGES: Final = ROOT / "docs/problems"
_CODE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_EVENTS: Final = {"services/deployer": "deployment.failed", "services/builder": "image.failed"}
_FAILING: Final = frozenset({"BuildFailedError", "Fail", "_fail", "fail"})


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """The event that carries it, by code."""
    return {
        code: event
        for folder, event in _EVENTS.items()
        for path in modules(folder)
        for code in _failures(tree(path))
    }


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


def test_failures_are_found(failures: dict[str, str]) -> None:
    assert (
        failures.items()
        >= {
            "service-crashed": "deployment.failed",
            "image-kind-unsupported": "deployment.failed",
            "archive-invalid": "image.failed",
            "build-crashed": "image.failed",
        }.items()
    )


def test_every_code_has_a_page_and_every_page_a_code(
    errors: dict[str, list[type[ServiceError]]], failures: dict[str, str]
) -> None:
    pages = {path.stem for path in _PAGES.glob("*.md")} - {"README"}

    assert sorted(pages ^ (set(errors) | set(failures))) == []


def test_a_code_is_a_refusal_or_a_failure(
    errors: dict[str, list[type[ServiceError]]], failures: dict[str, str]
) -> None:
    assert set(errors) & set(failures) == set()


def test_a_failures_page_begins_with_its_code_and_event(failures: dict[str, str]) -> None:
    wrong = [
        code
        for code, event in failures.items()
        if not (_PAGES / f"{code}.md").read_text().startswith(f"# {code}\n\n**In `{event}`.** ")
    ]

    assert wrong == []


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


def _failures(module: ast.Module) -> Iterator[str]:
    """Codes written down where something is given up: text beside them is no slug."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _name(node.func) in _FAILING:
            for given in (*node.args, *(each.value for each in node.keywords)):
                if isinstance(given, ast.Constant) and _CODE.fullmatch(str(given.value)):
                    yield str(given.value)


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
