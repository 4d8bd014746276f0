"""A cause holds for what is inside it, and nowhere else."""

from uuid import UUID

import pytest

from libs.chassis.context import Cause, bound, current

OUTER = Cause(actor="service:stall", org_id=UUID(int=1), correlation_id="outer")
INNER = Cause(actor="service:stall", org_id=UUID(int=1), correlation_id="inner")


def test_the_innermost_cause_is_current() -> None:
    with bound(OUTER):
        with bound(INNER):
            assert current() is INNER
        assert current() is OUTER


def test_without_a_cause_there_is_no_answer() -> None:
    with pytest.raises(LookupError):
        current()
