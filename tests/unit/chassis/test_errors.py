"""The taxonomy is whole: every kind has an answer, and no class is without its words."""

import pytest

from libs.chassis.errors import Kind
from libs.chassis.problems import STATUS


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_status(kind: Kind) -> None:
    assert 400 <= STATUS[kind] < 600


def test_no_two_kinds_share_a_status() -> None:
    assert len(set(STATUS.values())) == len(Kind)


def test_only_what_may_pass_by_itself_is_transient() -> None:
    assert {kind for kind in Kind if kind.transient} == {
        Kind.EXHAUSTED,
        Kind.NO_SPACE,
        Kind.UNAVAILABLE,
    }
