"""Which difference between two schemas breaks whoever calls, wherever in them it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.difference import api_changes
from services.registry.difference.schemas import Comparison

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}
_WORDS = st.sampled_from(
    ["type", "properties", "required", "items", "anyOf", "$ref", "$defs", "enum", "a", "#/$defs/a"]
)
_JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_WORDS, inner)),
    max_leaves=12,
)
_SCHEMAS = st.dictionaries(_WORDS, _JUNK, max_size=5)


def thing(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def choice(*values: object) -> Schema:
    return {"enum": list(values)}


def either(*variants: Schema) -> Schema:
    return {"anyOf": list(variants)}


def defined(reference: Schema, **definitions: Schema) -> Schema:
    return {**thing(data=reference), "$defs": definitions}


DATA: Schema = {"$ref": "#/$defs/Data"}


def taken(old: Schema, new: Schema) -> list[tuple[bool, str]]:
    return Comparison(old, new, takes=True).changes()


def given_back(old: Schema, new: Schema) -> list[tuple[bool, str]]:
    return Comparison(old, new, takes=False).changes()


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        pytest.param(thing(a=thing(b=NUMBER)), thing(a=thing(b=TEXT)), "a.b", id="nested"),
        pytest.param(
            thing(a={"type": "array", "items": NUMBER}),
            thing(a={"type": "array", "items": TEXT}),
            "a[]",
            id="items",
        ),
        pytest.param(
            thing(a={"type": "object", "additionalProperties": NUMBER}),
            thing(a={"type": "object", "additionalProperties": TEXT}),
            "a{}",
            id="values",
        ),
        pytest.param(
            defined(DATA, Data=thing(b=NUMBER)),
            defined(DATA, Data=thing(b=TEXT)),
            "data.b",
            id="reference",
        ),
        pytest.param(
            defined({"allOf": [DATA], "title": "D"}, Data=NUMBER),
            defined(DATA, Data=TEXT),
            "data",
            id="lone-all-of",
        ),
        pytest.param(
            defined(either(DATA, NULL), Data=thing(b=NUMBER)),
            defined(either(DATA, NULL), Data=thing(b=TEXT)),
            "data.b",
            id="optional-reference",
        ),
    ],
)
def test_another_type_breaks_wherever_it_is(old: Schema, new: Schema, path: str) -> None:
    """What an ``Optional[Model]`` of pydantic refers to is as much of the API as the rest."""
    for found, side in ((taken(old, new), "input"), (given_back(old, new), "output")):
        assert found == [(True, f"{side} '{path}' was number and is string")]


@pytest.mark.parametrize(
    ("old", "new", "for_input", "for_output"),
    [
        pytest.param(thing(a=NUMBER), thing(a=either(NUMBER, NULL)), False, True, id="nullable"),
        pytest.param(thing(a=either(NUMBER, NULL)), thing(a=NUMBER), True, False, id="never-null"),
        pytest.param(thing(a=choice("x")), thing(a=choice("x", "y")), False, True, id="value-more"),
        pytest.param(thing(a=choice("x", "y")), thing(a=choice("x")), True, False, id="value-less"),
        pytest.param(thing(a={}), thing(a=choice("x")), True, False, id="values-only"),
        pytest.param(thing(a=choice("x")), thing(a={}), False, True, id="any-value"),
        pytest.param(thing(a=choice("1")), thing(a=choice(1)), True, True, id="other-values"),
    ],
)
def test_what_is_wider_breaks_readers_and_what_is_narrower_breaks_writers(
    old: Schema, new: Schema, *, for_input: bool, for_output: bool
) -> None:
    assert [breaking for breaking, _ in taken(old, new)] == [for_input]
    assert [breaking for breaking, _ in given_back(old, new)] == [for_output]


@pytest.mark.parametrize(
    ("before", "after", "breaking"),
    [
        ({"maximum": 10}, {"maximum": 5}, True),
        ({"maximum": 5}, {"maximum": 10}, False),
        ({"minLength": 1}, {"minLength": 2}, True),
        ({"minLength": 2}, {}, False),
        ({}, {"pattern": "^a"}, True),
    ],
)
def test_tighter_limits_break_writers_only(
    before: Schema, after: Schema, *, breaking: bool
) -> None:
    old, new = thing(a={**TEXT, **before}), thing(a={**TEXT, **after})
    assert [each for each, _ in taken(old, new)] == [breaking]
    assert given_back(old, new) == []


def test_what_must_be_given_or_may_be_missing_breaks() -> None:
    loose, strict = thing(a=NUMBER), {**thing(a=NUMBER), "required": ["a"]}
    assert taken(loose, strict) == [(True, "input 'a' must be given now")]
    assert taken(strict, loose) == []
    assert given_back(strict, loose) == [(True, "output 'a' may be left out now")]
    assert given_back(loose, strict) == []


def test_closing_an_object_breaks_whoever_sent_more() -> None:
    closed = {**thing(a=NUMBER), "additionalProperties": False}
    assert taken(thing(a=NUMBER), closed) == [
        (True, "the input takes no other properties any more")
    ]
    assert taken(closed, thing(a=NUMBER)) == []


def test_names_of_definitions_and_words_for_people_are_no_change() -> None:
    old = defined(DATA, Data={**thing(b=NUMBER), "title": "Data", "description": "old"})
    new = defined({"$ref": "#/$defs/Renamed"}, Renamed=thing(b={**NUMBER, "default": 3}))
    assert taken(old, new) == given_back(old, new) == []


def test_schemas_that_contain_themselves_are_compared() -> None:
    def tree(value: Schema) -> Schema:
        node = thing(value=value, children={"type": "array", "items": {"$ref": "#/$defs/Node"}})
        return {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}

    assert taken(tree(NUMBER), tree(NUMBER)) == []
    assert taken(tree(NUMBER), tree(TEXT)) == [(True, "input 'value' was number and is string")]


def test_references_that_double_at_every_step_cost_nothing() -> None:
    def doubled(last: Schema) -> Schema:
        steps = {
            f"S{n}": thing(l={"$ref": f"#/$defs/S{n + 1}"}, r={"$ref": f"#/$defs/S{n + 1}"})
            for n in range(60)
        }
        return {"$defs": {**steps, "S60": last}, "$ref": "#/$defs/S0"}

    [(breaking, _)] = taken(doubled(NUMBER), doubled(TEXT))
    assert breaking


def test_what_is_nested_too_deeply_is_said_to_break() -> None:
    def deep(last: Schema) -> Schema:
        steps = {f"S{n}": thing(x={"$ref": f"#/$defs/S{n + 1}"}) for n in range(5000)}
        return {"$defs": {**steps, "S5000": last}, "$ref": "#/$defs/S0"}

    assert taken(deep(NUMBER), deep(TEXT)) == [
        (True, "the input is nested too deeply to be compared")
    ]


def test_a_route_that_becomes_a_task_is_called_otherwise() -> None:
    def manifest(*, is_task: bool) -> Schema:
        return {"schema": {"routes": [{"route": "/slow", "is_task": is_task}]}}

    [change] = api_changes(manifest(is_task=False), manifest(is_task=True))
    assert (change.breaking, change.reason) == (True, "is a task now")


@given(_SCHEMAS)
def test_nothing_changes_between_a_schema_and_itself(schema: Schema) -> None:
    assert taken(schema, schema) == given_back(schema, schema) == []


@given(_SCHEMAS, _SCHEMAS)
def test_whatever_a_client_sent_is_compared(old: Schema, new: Schema) -> None:
    for found in (taken(old, new), given_back(old, new)):
        assert all(reason for _, reason in found)
