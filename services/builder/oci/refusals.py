"""What a registry's refusals mean to a build: again later, or never."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from yarl import URL

from libs.contracts.oci import OciCode
from services.builder.errors import (
    BuildFailedError,
    LayersAbsentError,
    RegistryFullError,
    RegistryUnreachableError,
)

_PASSING: Final = frozenset({408, 425, 429})
_LASTING: Final = frozenset({501, 505, 507})
_FULL: Final = frozenset({413, 507})
_QUOTA: Final = re.compile(r"quota|storage resource|upper limit", re.IGNORECASE)
"""Harbor and others have no status of their own for it."""
_DENIED: Final = frozenset({401, 403, 407})
_MAY_BE_FULL: Final = frozenset({400, 403, 412})
_SHOWN: Final = 300
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Answer:
    """``secret`` is what it was asked with: not shown, should the registry repeat it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: URL = field(repr=False)
    secret: str = field(default="", repr=False)


def is_passing(status: int) -> bool:
    crash = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LASTING
    return crash or status in _PASSING


def refusal(registry: str, answer: Answer) -> Exception:
    """What a host says to which the registry led is not shown: it may be one of our own."""
    own = answer.url.authority == registry
    status, words = answer.status, _words(answer.body, answer.secret) if own else ""
    said = f"{status} {words}".strip()
    if is_passing(status):
        return RegistryUnreachableError(registry, said, retry_after=_wished(answer.headers))
    if status in _FULL or (status in _MAY_BE_FULL and _QUOTA.search(words)):
        return RegistryFullError(registry, said)
    if status in _DENIED:
        return BuildFailedError("registry-denied", f"{registry} does not let us: {said}")
    refused = f"{registry} refuses: {said}"
    if OciCode.MANIFEST_BLOB_UNKNOWN in words:
        return LayersAbsentError(refused)
    return BuildFailedError("registry-refused", refused)


def _words(body: bytes, secret: str) -> str:
    """Codes and messages of the specification's form, or the beginning of a text."""
    try:
        found = [
            f"{each.get('code', '')} {each.get('message', '')}"
            for each in json.loads(body)["errors"]
            if isinstance(each, dict)
        ]
        text = "; ".join(found)
    except (ValueError, TypeError, KeyError, RecursionError):
        text = body.decode(errors="replace")
    if secret:
        text = text.replace(secret, "…")
    printable = "".join(each if each.isprintable() else " " for each in text[: 4 * _SHOWN])
    return " ".join(printable.split())[:_SHOWN]


def _wished(headers: Mapping[str, str]) -> timedelta | None:
    said = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(said):
        return timedelta(seconds=int(said))
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(aware - datetime.now(UTC), timedelta())
