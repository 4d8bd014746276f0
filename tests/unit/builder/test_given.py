"""What of a build's secrets uv is given, and what tells them apart."""

from uuid import UUID

import pytest

from services.builder import plan
from services.builder.domain import Given

ORG, OTHER = UUID(int=1), UUID(int=2)
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ({"UV_DEFAULT_INDEX": "a", "PIP_INDEX_URL": "b"}, {"UV_DEFAULT_INDEX": "a"}),
        ({"UV_INDEX_URL": " a\n"}, {"UV_DEFAULT_INDEX": "a"}),
        ({"PIP_INDEX_URL": "a"}, {"UV_DEFAULT_INDEX": "a"}),
        ({"UV_INDEX": "corp=a", "PIP_EXTRA_INDEX_URL": "b c"}, {"UV_INDEX": "corp=a b c"}),
        ({"UV_INDEX_CORP_PASSWORD": "x"}, {"UV_INDEX_CORP_PASSWORD": "x"}),
        ({"UV_CACHE_DIR": "/", "UV_PYTHON": "x", "UV_CONFIG_FILE": "x", "PIP_TARGET": "/"}, {}),
        ({"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_INSECURE_HOST": "x", "TOKEN": "x"}, {}),
        ({"UV_INDEX_URL": "", "LD_PRELOAD": "x", "xUV_INDEX_A_PASSWORD": "x"}, {}),
    ],
)
def test_uv_is_given_indexes_and_what_opens_them_and_nothing_else(
    variables: dict[str, str], given: dict[str, str]
) -> None:
    assert plan.for_uv(variables) == given


def test_what_opens_the_services_own_indexes_is_sent_to_no_other() -> None:
    own = {
        "PATH": "/bin",
        "UV_INDEX": "corp=https://corp",
        "UV_DEFAULT_INDEX": "https://mirror",
        "UV_INDEX_CORP_PASSWORD": "x",
    }
    assert plan.beside(own, {}) == own
    assert plan.beside(own, {"UV_INDEX_CORP_USERNAME": "ada"}) == own
    assert plan.beside(own, {"UV_INDEX": "corp=https://evil"}) == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://mirror",
    }


def test_marks_tell_values_of_an_organisation_apart_and_nothing_about_them() -> None:
    one = plan.marks(KEY, ORG, {"TOKEN": "value"})
    assert one == plan.marks(KEY, ORG, {"TOKEN": "value"})
    others = [
        plan.marks(KEY, ORG, {"TOKEN": "other"}),
        plan.marks(KEY, OTHER, {"TOKEN": "value"}),
        plan.marks(KEY, ORG, {"NEKOT": "value"}),
        plan.marks(b"l" * 32, ORG, {"TOKEN": "value"}),
    ]
    assert len({one, *others}) == 5
    assert "value" not in str(one)


def test_a_new_password_leads_to_the_same_place() -> None:
    before, after = (
        plan.places(
            {"UV_INDEX": f"corp=https://ada:{each}@corp/simple", "UV_INDEX_X_PASSWORD": each}
        )
        for each in ("old", "new")
    )
    assert before == after == {"UV_INDEX": "corp=https://corp/simple", "UV_INDEX_X_PASSWORD": ""}


@pytest.mark.parametrize(
    "said",
    [
        "https://ada-l:pass%2Fword@corp/simple",
        "for ada-l:pass%2fword",
        "the password pass/word is wrong",
        "Authorization: Basic YWRhLWw6cGFzcy93b3Jk",
    ],
)
def test_no_part_of_an_address_that_opens_it_is_shown(said: str) -> None:
    given = Given({"UV_INDEX_URL": "https://ada-l:pass%2Fword@corp/simple"})
    shown = given.hide(said)
    assert "***" in shown
    assert not [
        each for each in ("pass", "word@", "cGFzcy") if each in shown.replace("password", "")
    ]
    assert "pass" not in repr(given)
