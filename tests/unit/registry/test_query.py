"""What a list is asked for: understood as clients write it, or refused by the term's name."""

import pytest

from services.registry.errors import QueryRefusedError
from services.registry.http.versions import parse_query


@pytest.mark.parametrize(
    ("text", "labels", "words"),
    [
        ("", {}, ()),
        ("   ", {}, ()),
        ("iris v2", {}, ("iris", "v2")),
        ("label:team=a  label:stage=prod", {"team": "a", "stage": "prod"}, ()),
        ("label:team=a label:team=a", {"team": "a"}, ()),
        ("label:team=", {"team": ""}, ()),
        ("label:url=http://x?a=b", {"url": "http://x?a=b"}, ()),
        ('label:team="a" "iris', {"team": '"a"'}, ('"iris',)),
        ("sort:created_at-desc iris", {}, ("iris",)),
    ],
)
def test_what_is_understood(text: str, labels: dict[str, str], words: tuple[str, ...]) -> None:
    assert parse_query(text) == (labels, words)


@pytest.mark.parametrize(
    "term",
    [
        "is:dev",
        "not:dev",
        "creator:@me",
        "in:name",
        "-label:team",
        "label:team",
        "label:",
        "Label:team=a",
        "sort:created_at-asc",
        "sort:name-desc",
        "sort:",
        "iris:v1",
        ":",
    ],
)
def test_any_other_term_is_refused_by_its_name(term: str) -> None:
    with pytest.raises(QueryRefusedError, match=term):
        parse_query(f"iris {term}")


def test_a_label_cannot_have_two_values() -> None:
    with pytest.raises(QueryRefusedError, match="team=b"):
        parse_query("label:team=a label:team=b")
