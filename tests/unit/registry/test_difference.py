"""What is otherwise between two versions, and whether callers will notice."""

from dataclasses import asdict
from typing import Any

import pytest

from services.registry.archive import Entry
from services.registry.difference import (
    api_changes,
    comparable,
    file_changes,
    keyed_changes,
    packages_of,
    routes_of,
)


def entry(path: str, size: int) -> Entry:
    return Entry(path, "file", size, 0o644, "", 0)


def test_files_of_another_size_or_content_have_changed() -> None:
    before = {path: entry(path, size) for path, size in {"a": 1, "b": 2, "c": 3, "d": 4}.items()}
    after = {path: entry(path, size) for path, size in {"b": 2, "c": 9, "d": 4, "e": 5}.items()}
    found = file_changes(before, after, equal={"b": False})
    assert (found.added, found.removed) == (["e"], ["a"])
    assert (found.changed, found.unknown) == (["b", "c"], ["d"])


def test_files_are_compared_while_what_must_be_read_for_them_is_bounded() -> None:
    """The smallest first, and those that lie beside them cost nothing more."""

    def lying(**at: tuple[int, int]) -> dict[str, Entry]:
        return {
            path: Entry(path, "file", size, 0o644, "", offset)
            for path, (offset, size) in at.items()
        }

    before = lying(a=(0, 9), big=(10, 500), b=(510, 9), c=(520, 9), empty=(0, 0), other=(0, 3))
    after = lying(a=(900, 9), big=(10, 500), b=(0, 9), c=(10, 9), empty=(7, 0), other=(0, 4))
    assert comparable(before, after, step=100, most=0) == ["empty"]
    assert comparable(before, after, step=100, most=1) == ["empty", "a"]
    assert comparable(before, after, step=100, most=2) == ["empty", "a", "b", "c"]
    assert comparable(before, after, step=100, most=7) == ["empty", "a", "b", "c", "big"]


def test_packages_are_those_that_are_pinned_whatever_stands_around_them() -> None:
    text = (
        "# made by uv\n--index-url https://index.example/simple\n\nA2WSGI==1.10.8 \\\n"
        "    --hash=sha256:00\nscikit_learn==1.9.1 ; python_version >= '3.9'\n-e .\nnumpy>=2\n"
        "what is this\nrequests[socks]==2.32.0 # why\n"
    )
    assert packages_of(text) == {
        "a2wsgi": "1.10.8",
        "scikit-learn": "1.9.1",
        "numpy": ">=2",
        "requests": "2.32.0",
    }


def test_keys_are_added_removed_and_changed() -> None:
    found = asdict(keyed_changes({"a": 1, "b": 2}, {"b": 3, "c": 4}))
    assert found == {
        "added": {"c": 4},
        "removed": {"a": 1},
        "changed": {"b": {"before": 2, "after": 3}},
    }


def manifest(inputs: dict[str, Any], required: list[str], output: dict[str, Any]) -> dict[str, Any]:
    route = {
        "route": "/predict",
        "input": {"type": "object", "properties": inputs, "required": required},
        "output": output,
    }
    return {"schema": {"routes": [route]}}


NUMBER, TEXT = {"type": "number"}, {"type": "string"}
BASE = manifest({"n": {**NUMBER, "title": "N"}}, ["n"], {"properties": {"score": NUMBER}})


@pytest.mark.parametrize(
    ("changed", "breaking", "words"),
    [
        (manifest({"n": NUMBER}, ["n"], {"properties": {"score": NUMBER}}), None, ""),
        (manifest({"n": NUMBER, "k": TEXT}, ["n"], {"properties": {"score": NUMBER}}), False, "k"),
        (
            manifest({"n": NUMBER, "k": TEXT}, ["n", "k"], {"properties": {"score": NUMBER}}),
            True,
            "must be given",
        ),
        (manifest({"n": TEXT}, ["n"], {"properties": {"score": NUMBER}}), True, "was number"),
        (manifest({}, [], {"properties": {"score": NUMBER}}), True, "no more"),
        (manifest({"n": NUMBER}, ["n"], {"properties": {}}), True, "given no more"),
        (
            manifest({"n": NUMBER}, ["n"], {"properties": {"score": NUMBER, "why": TEXT}}),
            False,
            "output 'why' is new",
        ),
        ({"schema": {"routes": []}}, True, "gone"),
        ({"schema": "?"}, True, "gone"),
    ],
)
def test_a_change_breaks_callers_or_not(
    changed: dict[str, Any], *, breaking: bool | None, words: str
) -> None:
    found = api_changes(BASE, changed)
    if breaking is None:
        assert found == []
        return
    [change] = found
    assert (change.route, change.breaking) == ("/predict", breaking)
    assert words in change.reason


def test_routes_of_older_clients_are_routes() -> None:
    legacy = {
        "apis": {"classify": {"route": "classify", "input": "NumpyNdarray", "output": "JSON"}}
    }
    assert routes_of(legacy) == {
        "/classify": {
            "input": {"kind": "NumpyNdarray"},
            "output": {"kind": "JSON"},
            "is_task": False,
        }
    }
    renamed = {"apis": {"classify": {"route": "classify", "input": "JSON", "output": "JSON"}}}
    [change] = api_changes(legacy, renamed)
    assert change.breaking
