"""What keeps a model on the endpoints' origin, and there below its own path."""

from base64 import b64encode

import pytest
from multidict import CIMultiDict

from services.gateway.routing.headers import (
    confined,
    confined_cookie,
    confined_location,
    crossing,
    possible_tokens,
    without_our_cookies,
)

PREFIX = "/default/iris"
TOKEN = "a" * 43


def test_a_caller_cannot_speak_for_the_gateway() -> None:
    given = CIMultiDict(
        {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Anything": "evil",
            "X-YATAI-API-TOKEN": "secret",
            "Connection": "close, X-Once",
            "X-Once": "1",
            "Accept": "text/plain",
        }
    )

    assert dict(crossing(given)) == {"Accept": "text/plain"}


def test_a_model_never_sees_our_cookies() -> None:
    headers = CIMultiDict({"Cookie": "a=1; __Host-yokocho=secret; yokocho_session=s; b=2"})

    without_our_cookies(headers)

    assert headers["Cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TOKEN}",
        f"bearer  {TOKEN} ",
        f"Token token={TOKEN}",
        f"Basic {b64encode(f'me:{TOKEN}'.encode()).decode()}",
        TOKEN,
    ],
)
def test_a_token_is_found_however_it_is_presented(value: str) -> None:
    assert TOKEN in possible_tokens(value)


def test_a_jwt_is_none_of_our_tokens() -> None:
    assert possible_tokens(f"Bearer {TOKEN}.{TOKEN}.{TOKEN}") == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a=1", "a=1; Path=/default/iris"),
        ("a=1; Path=/", "a=1; Path=/default/iris"),
        ("a=1; Path=/x; Secure", "a=1; Secure; Path=/default/iris/x"),
        ("a=1; Domain=.example.org; Path=/default", "a=1; Path=/default/iris/default"),
        ("a=1; Path=/default/iris-2", "a=1; Path=/default/iris/default/iris-2"),
        ("__Host-a=1; Path=/; Secure", None),
        ("yokocho=mine", None),
        ("__Secure-Yokocho=mine; Secure", None),
        ("nameless", None),
    ],
)
def test_a_models_cookie_stays_below_its_path(said: str, kept: str | None) -> None:
    assert confined_cookie(said, prefix=PREFIX) == kept


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/login", "/default/iris/login"),
        ("http://127.0.0.1:3000/login?a=1#b", "/default/iris/login?a=1#b"),
        ("//127.0.0.1:3000/login", "/default/iris/login"),
        ("/default/iris/login", "/default/iris/login"),
        ("https://example.org/login", "https://example.org/login"),
        ("next", "next"),
    ],
)
def test_a_models_redirect_stays_below_its_path(location: str, kept: str) -> None:
    told = confined_location(location, prefix=PREFIX, authorities=["127.0.0.1:3000"])

    assert told == kept


@pytest.mark.parametrize(
    "name", ["Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Alt-Svc"]
)
def test_a_model_cannot_act_on_its_whole_origin(name: str) -> None:
    said = CIMultiDict({name: "anything", "Content-Type": "text/html"})

    assert dict(confined(said, prefix=PREFIX, authorities=[])) == {"Content-Type": "text/html"}
