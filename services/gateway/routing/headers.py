"""Which headers cross the gateway, in which direction, and in what form."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from services.gateway.domain import TOKEN

API_TOKEN: Final = "X-YATAI-API-TOKEN"  # noqa: S105  # the name of a header
ORGANISATION: Final = "X-Yatai-Organization"

_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
_OURS_TO_SAY: Final = frozenset(
    {
        "forwarded",
        "host",
        "via",
        "x-real-ip",
        "x-request-id",
        "x-original-url",
        "x-rewrite-url",
        "x-yatai-api-token",
        "expect",
    }
)
"""Request headers that a caller cannot set for whoever is behind the gateway."""

_ORIGIN_WIDE: Final = frozenset(
    {
        "alt-svc",
        "clear-site-data",
        "expect-ct",
        "nel",
        "public-key-pins",
        "report-to",
        "service-worker-allowed",
        "set-cookie2",
        "strict-transport-security",
    }
)
"""Response headers with which one model could act on every other one of the same origin."""

_OUR_COOKIE: Final = re.compile(r"(?:__host-|__secure-)?yokocho", re.IGNORECASE)
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}")

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


class Edge(Protocol):
    """What the gateway itself knows about a request."""

    @property
    def host(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def remote(self) -> str | None: ...


def crossing(headers: Headers) -> CIMultiDict[str]:
    """The caller's end-to-end headers, without any that only the gateway may set."""
    dropped = _HOP | _OURS_TO_SAY | _named(headers)
    kept = CIMultiDict[str]()
    for name, value in headers.items():
        lowered = name.lower()
        if lowered not in dropped and not lowered.startswith("x-forwarded-"):
            kept.add(name, value)
    return kept


def forwarded_by(edge: Edge, *, prefix: str | None = None) -> dict[str, str]:
    """Where the request really came from."""
    said = {
        "X-Forwarded-For": edge.remote or "unknown",
        "X-Forwarded-Proto": edge.scheme,
        "X-Forwarded-Host": edge.host,
    }
    return said | ({"X-Forwarded-Prefix": prefix} if prefix else {})


def returning(headers: Headers) -> CIMultiDict[str]:
    """A service's end-to-end response headers."""
    dropped = _HOP | _named(headers)
    kept = CIMultiDict[str]()
    for name, value in headers.items():
        if name.lower() not in dropped:
            kept.add(name, value)
    return kept


def confined(headers: Headers, *, prefix: str, authorities: Iterable[str]) -> CIMultiDict[str]:
    """A model's response headers, with no effect outside its own ``prefix``."""
    kept = CIMultiDict[str]()
    for name, value in returning(headers).items():
        lowered = name.lower()
        if lowered == "set-cookie":
            cookie = confined_cookie(value, prefix=prefix)
            if cookie is not None:
                kept.add(name, cookie)
        elif lowered == "location":
            kept.add(name, confined_location(value, prefix=prefix, authorities=authorities))
        elif lowered not in _ORIGIN_WIDE:
            kept.add(name, value)
    return kept


def confined_cookie(cookie: str, *, prefix: str) -> str | None:
    """``cookie`` limited to ``prefix``; None when it could not be limited.

    ``__Host-`` demands the path ``/``, and names of ours could shadow the dashboard's:
    cookies ignore ports.
    """
    pair, *attributes = cookie.split(";")
    name = pair.partition("=")[0].strip()
    if "=" not in pair or not name or name.lower().startswith("__host-") or _OUR_COOKIE.match(name):
        return None
    path = "/"
    kept = [pair]
    for attribute in attributes:
        key, _, value = attribute.strip().partition("=")
        match key.strip().lower():
            case "domain":
                continue
            case "path":
                path = value.strip() if value.strip().startswith("/") else "/"
            case _:
                kept.append(attribute)
    return ";".join([*kept, f" Path={_under(prefix, path).removesuffix('/')}"])


def confined_location(location: str, *, prefix: str, authorities: Iterable[str]) -> str:
    """Where a redirect leads: the model's own addresses get ``prefix``, others are kept."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    if parts.netloc and parts.netloc.lower() not in {each.lower() for each in authorities}:
        return location
    if not parts.netloc and (parts.scheme or not location.startswith("/")):
        return location
    path = _under(prefix, parts.path or "/")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{path}{query}{fragment}"


def _under(prefix: str, path: str) -> str:
    if path == prefix or path.startswith(f"{prefix}/"):
        return path
    return f"{prefix}{path}"


def credentials(headers: Headers) -> str | None:
    """The token a caller presents to us."""
    token = headers.get(API_TOKEN)
    if token:
        return token.strip()
    scheme, _, value = headers.get("Authorization", "").strip().partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def possible_tokens(value: str) -> list[str]:
    """Everything in an ``Authorization`` value that could be a token of the platform.

    A bearer token is one word (a JWT is none of ours); other schemes differ in where they put
    a secret, and Basic encodes it, so there all words count.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer" and _TOKEN68.fullmatch(rest.strip()):
        words = [rest.strip()]
    else:
        words = [*_WORD.findall(value), *_decoded(value)]
    return [word for word in dict.fromkeys(words) if TOKEN.fullmatch(word)]


def _decoded(value: str) -> Iterator[str]:
    for word in _BASE64.findall(value):
        padded = word.rstrip("=")
        try:
            raw = base64.b64decode(padded + "=" * (-len(padded) % 4), altchars=None)
        except binascii.Error:
            continue
        yield from _WORD.findall(raw.decode("ascii", errors="replace"))


def without_our_cookies(headers: CIMultiDict[str]) -> None:
    """Remove the platform's own cookies, in place; the model's stay."""
    given = headers.popall("Cookie", [])
    for line in given:
        pairs = [pair.strip() for pair in line.split(";")]
        kept = [pair for pair in pairs if pair and not _OUR_COOKIE.match(pair)]
        if kept:
            headers.add("Cookie", "; ".join(kept))


def _named(headers: Headers) -> frozenset[str]:
    """Headers that ``Connection`` declares to be for the next hop only."""
    listed = headers.getall("Connection", [])
    return frozenset(
        name.strip().lower() for line in listed for name in line.split(",") if name.strip()
    )


def is_websocket(method: str, headers: Mapping[str, str]) -> bool:
    return method == "GET" and headers.get("Upgrade", "").lower() == "websocket"
