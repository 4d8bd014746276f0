"""Envelopes as they were once published: today's code still reads each of them."""

import json
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from libs.contracts.catalogue import EVENTS, PUBLISHER, decode
from libs.contracts.event import MAX_BYTES, EnvelopeHead
from libs.contracts.types import cut

_RECORDED: Final = sorted((Path(__file__).parents[2] / "data/events").glob("*.json"))


@pytest.mark.parametrize("path", _RECORDED, ids=lambda path: path.stem)
def test_a_recorded_envelope_decodes(path: Path) -> None:
    raw = path.read_bytes()
    head = EnvelopeHead.model_validate_json(raw)

    envelope = decode(raw, EVENTS[head.type])

    event = envelope.data
    assert path.stem.partition("+")[0] == f"{event.name}.v{event.major}", "+ is a later form"
    assert envelope.source == f"/yokocho/{PUBLISHER[head.type]}"
    assert envelope.subject == f"{event.subject_prefix()}.{envelope.orgid}.{event.entity_id}"
    assert envelope.entityid == event.entity_id
    assert envelope.id.version == 7


@pytest.mark.parametrize("path", _RECORDED, ids=lambda path: path.stem)
def test_what_was_recorded_is_what_would_be_written(path: Path) -> None:
    recorded = json.loads(path.read_bytes())

    written = decode(path.read_bytes(), EVENTS[recorded["type"]]).model_dump(mode="json")

    assert (
        recorded.items() <= written.items() or recorded["data"].items() <= written["data"].items()
    )


@pytest.mark.parametrize("path", _RECORDED, ids=lambda path: path.stem)
def test_readers_ignore_fields_of_a_later_minor_version(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    recorded["data"]["added_later"] = recorded["addedlater"] = "something"

    envelope = decode(json.dumps(recorded).encode(), EVENTS[recorded["type"]])

    assert not hasattr(envelope.data, "added_later")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"specversion": "0.3"}, id="another CloudEvents"),
        pytest.param({"actor": "root"}, id="an actor without a kind"),
        pytest.param({"entityseq": 0}, id="no version of the entity"),
        pytest.param({"id": "42"}, id="an id that is none"),
        pytest.param({"data": {}}, id="no data"),
    ],
)
def test_malformed_envelopes_are_refused(change: dict[str, object]) -> None:
    recorded = json.loads(_RECORDED[0].read_bytes()) | change

    with pytest.raises(ValidationError):
        decode(json.dumps(recorded).encode(), EVENTS[recorded["type"]])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("short", id="short"),
        pytest.param("x" * 100_000 + "the exception's own words", id="long"),
        pytest.param("横" * 10_000 + "the exception's own words", id="three bytes a letter"),
    ],
)
def test_error_texts_are_cut_in_the_middle(text: str) -> None:
    said = cut(text)

    assert len(said.encode()) <= 8192 < MAX_BYTES
    assert said.startswith(text[:100])
    assert said.endswith(text[-20:])
