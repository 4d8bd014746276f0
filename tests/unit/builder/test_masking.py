"""No value of a secret is in a log, in whatever pieces it comes."""

import base64
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.builder.domain.masking import Mask

SECRET = "s3cr3t/value+1"


def _logged(data: bytes, *cuts: int, secrets: tuple[str, ...] = (SECRET,)) -> str:
    mask = Mask(secrets)
    edges = [0, *sorted(cuts), len(data)]
    lines = [line for start, end in pairwise(edges) for line in mask.feed(data[start:end])]
    return "\n".join([*lines, *mask.end()])


@given(st.lists(st.integers(0, 60)))
def test_a_secret_is_hidden_however_it_is_cut(cuts: list[int]) -> None:
    data = f"before {SECRET} between\n{SECRET}{SECRET}\nafter".encode()
    assert _logged(data, *(min(each, len(data)) for each in cuts)) == (
        "before *** between\n******\nafter"
    )


@given(st.binary(max_size=8), st.binary(max_size=8), st.sampled_from([b"s3cr3t-value", b"abcde"]))
def test_a_secret_inside_of_something_encoded_is_hidden(
    before: bytes, after: bytes, value: bytes
) -> None:
    encoded = base64.b64encode(before + value + after)
    said = _logged(encoded, secrets=(value.decode(),))
    assert "***" in said


def test_each_line_of_a_secret_is_hidden() -> None:
    assert _logged(b"x first-line y\nsecond-line", secrets=("first-line\nsecond-line\n",)) == (
        "x *** y\n***"
    )


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    assert _logged(b"abc abcd", secrets=("abc", "")) == "abc abcd"


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    mask = Mask([SECRET])
    said = [*mask.feed(b"x" * 70_000 + SECRET[:5].encode())]
    said += [*mask.feed(SECRET[5:].encode()), *mask.end()]
    assert "".join(said) == "x" * 70_000 + "***"
    assert len(said) == 2
