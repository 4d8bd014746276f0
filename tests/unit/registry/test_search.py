"""The language of searches: what is read, what is refused and where, what is kept of a manifest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.query import (
    And,
    Comparison,
    Exists,
    Fact,
    Field,
    Not,
    Or,
    Query,
    QueryError,
    Space,
    compile_query,
    facts_of,
    parse,
)

ACCURACY = Field(Space.METADATA, "accuracy")
ODD = Field(Space.METADATA, "a b")
STAGE = Field(Space.LABEL, "stage")
HIGH, DEV = Comparison(ACCURACY, ">", (0.9,)), Comparison(STAGE, "=", ("dev",))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("accuracy > 0.9", Query(HIGH)),
        (
            'accuracy > 0.9 and not label.stage = "dev" sort by accuracy',
            Query(And((HIGH, Not(DEV))), ACCURACY),
        ),
        ("sort by name desc", Query(None, Field(Space.OWN, "name"), descending=True)),
        ("accuracy>0.9 OR label.stage=dev", Query(Or((HIGH, DEV)))),
        ("not not accuracy > 0.9", Query(Not(Not(HIGH)))),
        ("(accuracy > 0.9)", Query(HIGH)),
        ("label.stage in (dev, prod)",
         Query(Comparison(STAGE, "=", ("dev", "prod")))),
        ("accuracy exists", Query(Exists(ACCURACY))),
        ('"a b" = "say \\"hi\\""', Query(Comparison(ODD, "=", ('say "hi"',)))),
        ("version = 6zdxq2", Query(Comparison(Field(Space.OWN, "version"), "=", ("6zdxq2",)))),
        ("ok = true", Query(Comparison(Field(Space.METADATA, "ok"), "=", (True,)))),
        ("a.b-c/d ~ 1e3", Query(Comparison(Field(Space.METADATA, "a.b-c/d"), "~", (1000.0,)))),
    ],
)  # fmt: skip
def test_what_is_written_is_what_is_meant(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("accuracy >", 10),
        ("accuracy > 0.9 label.stage = dev", 15),
        ("and", 0),
        ("(accuracy > 0.9", 15),
        ("accuracy ; 1", 9),
        ("accuracy > 0.9 sort accuracy", 20),
        ('a = "open', 4),
        ("a = 1 and " * 40 + "a = 1", 320),
        ("(" * 40, 32),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, at: int) -> None:
    with pytest.raises(QueryError) as refused:
        parse(text)
    assert refused.value.at == at


@given(st.text(max_size=80))
def test_nothing_that_is_written_breaks_the_parser(text: str) -> None:
    try:
        compile_query(parse(text), first=5)
    except QueryError as error:
        place = error.at
    else:
        place = 0
    assert 0 <= place <= len(text)


@given(st.text(min_size=4, max_size=80))
def test_no_text_becomes_sql(text: str) -> None:
    field = Field(Space.METADATA, text)
    query = Query(And((Comparison(field, "~", (text,)), Exists(field))), field)
    compiled = compile_query(query, first=5)
    assert compiled.values.count(text) == len(compiled.values) == 4
    assert "'" not in compiled.where + compiled.order


def test_metadata_is_kept_as_numbers_and_words_within_bounds() -> None:
    metadata = {
        "accuracy": 0.9,
        "ok": True,
        "framework": {"name": "sklearn", "deep": {"er": 1}},
        "nan": float("nan"),
        "huge": 10**400,
        "list": [1],
        "none": None,
        "nul\0": "x",
        "long": "x" * 2000,
    }
    assert facts_of({"metadata": metadata}) == [
        Fact("accuracy", number=0.9),
        Fact("ok", word="true"),
        Fact("framework.name", word="sklearn"),
        Fact("framework.deep.er", number=1.0),
    ]
    assert facts_of({"metadata": "odd"}) == []
    assert len(facts_of({"metadata": {str(n): n for n in range(1000)}})) == 256
