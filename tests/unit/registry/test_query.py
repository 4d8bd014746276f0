"""What a list is asked for: understood as clients and Yatai's users write it, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.query import QueryError, Term, compile_wire, parse_wire


def terms(text: str) -> list[tuple[str, tuple[str, ...], bool]]:
    return [(each.key, each.values, each.negated) for each in parse_wire(text).terms]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("   ", []),
        ("iris v2", [("word", ("iris",), False), ("word", ("v2",), False)]),
        ("label:team=a", [("label", ("team=a",), False)]),
        ("label:team=a,b", [("label", ("team=a", "b"), False)]),
        ("label:team=", [("label", ("team=",), False)]),
        ("label:url=http://x?a=b", [("label", ("url=http://x?a=b",), False)]),
        ('label:team="a b,c"', [("label", ("team=a b,c",), False)]),
        ('"two words" a', [("word", ("two words",), False), ("word", ("a",), False)]),
        ('-"not: these"', [("word", ("not: these",), True)]),
        ("-label:stage=dev", [("label", ("stage=dev",), True)]),
        ("-iris", [("word", ("iris",), True)]),
        ("-", [("word", ("-",), False)]),
        ("label:team", [("label", ("team",), False)]),
        ("creator:@me,ada", [("creator", ("@me", "ada"), False)]),
        ("module:bentoml.sklearn", [("module", ("bentoml.sklearn",), False)]),
        ("is:dev", [("is", ("dev",), False)]),
        ("not:dev", [("is", ("dev",), True)]),
        ("-not:dev", [("is", ("dev",), False)]),
        ("sort:created_at-desc in:name", []),
    ],
)  # fmt: skip
def test_what_is_understood(text: str, found: list[tuple[str, tuple[str, ...], bool]]) -> None:
    assert terms(text) == found


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("iris label:", 5),
        ("iris label:a,", 5),
        ("iris Label:team=a", 5),
        ("iris sort:name-desc", 5),
        ("iris sort:created_at", 5),
        ("iris sort:", 5),
        ("iris:v1", 0),
        ("x in:everywhere", 2),
        ("x is:public", 2),
        ('a "b', 2),
        ("a " * 40, 64),
    ],
)
def test_anything_else_is_refused_at_its_place(text: str, at: int) -> None:
    with pytest.raises(QueryError) as refused:
        parse_wire(text)
    assert refused.value.at == at


@given(st.text("ab:=,-\" \\%_'\0$", max_size=60))
def test_no_text_of_a_caller_is_part_of_a_statement(text: str) -> None:
    try:
        query = parse_wire(f"x{text}")
    except QueryError:
        return
    compiled = compile_wire(query, first=3, me="me")
    for number, _ in enumerate(compiled.values, start=3):
        assert f"${number}::text" in compiled.where
    assert "'\0" not in compiled.where
    assert set(compiled.where) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.,0123456789$:|'()<>=?@- "
    )


def test_words_may_be_looked_for_in_descriptions() -> None:
    compiled = compile_wire(parse_wire("in:name,description 50%"), first=1, me="")
    assert compiled.where.count("LIKE") == 3
    assert compiled.values == (r"%50\%%",)
    assert parse_wire("a").terms == (Term("word", ("a",), at=0),)
