"""Images of bentos that real clients build, run in rootfs of their own: they answer."""

import pytest

from tests.support.twenty import CASES, Bench, Case

pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]


def _parameter(case: Case) -> object:
    return pytest.param(case, id=case.name, marks=[pytest.mark.soak] if case.soak else [])


@pytest.mark.parametrize("case", [_parameter(each) for each in CASES])
def test_an_assembled_image_answers(bench: Bench, case: Case) -> None:
    bench.ask(case, "assemble")
