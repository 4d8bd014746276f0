"""Descriptions that attack whoever loads them are refused before anybody does."""

import time

import pytest
import yaml

from services.registry.archive import top_of
from services.registry.errors import ArchiveRefusedError

SAID = b"name: iris\nversion: v1\n"


def levels(count: int, form: str) -> bytes:
    """Each level says the one below nine times."""
    said = "a0: &a0 {k: v}\n"
    for level in range(1, count):
        below = ",".join([f"*a{level - 1}"] * 9)
        said += f"a{level}: &a{level} {form.format(below)}\n"
    return said.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(levels(30, "[{}]") + b"name: *a29\nversion: v1\n", "more than", id="laughs"),
        pytest.param(levels(30, "{{<<: [{}]}}") + SAID, "merges", id="merges"),
        pytest.param(SAID + b"x: " + b"[" * 1_000_000, "more than", id="deep-lists"),
        pytest.param(SAID + b"x: " + b"{" * 1_000_000, "more than", id="deep-mappings"),
        pytest.param(SAID + b"x:\n  " + b"- " * 1_000_000, "more than", id="deep-blocks"),
        pytest.param(SAID + b"x:\n  " + b"? " * 1_000_000, "more than", id="deep-keys"),
        pytest.param(SAID + b"x: [" + b"a," * 4_000_000 + b"]", "more than", id="many"),
        pytest.param(SAID + b"x: &x [*x]\n", "more than", id="in-itself"),
        pytest.param(SAID + b"x: *nobody\n", "more than", id="of-nobody"),
        pytest.param(b"--- a\n" * 1_000_000, "more than", id="many-documents"),
        pytest.param(b"- name: iris\n", "no mapping", id="list"),
        pytest.param(b"iris", "no mapping", id="scalar"),
        pytest.param(b"", "no mapping", id="empty"),
        pytest.param(b"name: [", "no YAML", id="unfinished"),
        pytest.param(b"name: \xff\xfe", "no YAML", id="no-text"),
        pytest.param(b"name: a\0b", "no YAML", id="nul"),
    ],
)
def test_what_nobody_would_write_is_refused_at_once(content: bytes, why: str) -> None:
    began = time.monotonic()
    with pytest.raises(ArchiveRefusedError, match=why):
        top_of(content)
    assert time.monotonic() - began < 5


def test_a_number_of_a_million_digits_is_a_text() -> None:
    """Making a number of it takes an hour."""
    assert top_of(b"name: iris\nversion: " + b"9" * 1_000_000)["name"] == "iris"


def test_what_is_written_twice_is_read() -> None:
    """PyYAML writes an alias for an object that it meets again."""
    shared = ["numpy"]
    content = yaml.safe_dump({"name": "iris", "version": "1.10", "a": shared, "b": shared})
    assert "&id001" in content
    said = {"name": "iris", "version": "1.10", "a": None, "b": None}
    assert top_of(content.encode()) == said


def test_of_a_name_that_is_said_twice_the_later_counts_as_for_who_loads_it() -> None:
    content = b"name: a\nversion: v1\nname: b\n"
    assert top_of(content)["name"] == yaml.safe_load(content)["name"] == "b"
