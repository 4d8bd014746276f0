"""Every event is listed, recorded once and for ever, documented, and consumed by name."""

import subprocess
from typing import Final

import pytest

from docs.generate.pages import DOCS, stale
from libs.contracts.bus import CONSUMERS, PUBLISHED
from libs.contracts.catalogue import EVENTS
from libs.contracts.event import Event
from tests.support.sources import ROOT, git

_RECORDED: Final = ROOT / "tests/data/events"


def test_every_event_class_is_in_the_catalogue() -> None:
    assert set(_said(Event)) == set(EVENTS.values())


def test_every_event_has_a_recorded_envelope() -> None:
    recorded = {path.stem for path in _RECORDED.glob("*.json")}

    assert {f"{each.name}.v{each.major}" for each in EVENTS.values()} <= recorded


def test_recorded_envelopes_are_only_ever_added() -> None:
    """An event that was published once will be read again: from the log, for ever."""
    try:
        changes = git("log", "--format=", "--name-status", "--no-renames", "--", str(_RECORDED))
        touched = git("diff", "--name-status", "--no-renames", "HEAD", "--", str(_RECORDED))
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no git history here")

    lines = [*changes.splitlines(), *touched.splitlines()]
    assert [line for line in lines if line and not line.startswith("A")] == []


def test_generated_pages_are_current() -> None:
    assert stale(DOCS) == [], "run `make docs`"


def test_durable_names_are_unique_on_their_stream() -> None:
    names = [(spec.stream, spec.durable) for spec in CONSUMERS]

    assert len(set(names)) == len(names)


def test_consumers_ask_a_service_only_for_what_it_says() -> None:
    for spec in CONSUMERS:
        assert set(spec.events) <= set(PUBLISHED[spec.source]), spec.durable


def _said(event: type[Event]) -> list[type[Event]]:
    """Subclasses with a name of their own; the others only share fields."""
    found = []
    for each in event.__subclasses__():
        found += [each] if "name" in vars(each) else []
        found += _said(each)
    return found
