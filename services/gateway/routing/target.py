"""Reading a request target once, so that nobody behind the gateway reads it differently."""

import re
from dataclasses import dataclass
from typing import Final

from services.gateway.errors import TargetAmbiguousError

_NAME: Final = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
_ENDPOINT: Final = re.compile(rf"/({_NAME})/({_NAME})(/.*)?", re.DOTALL)
_DOTS: Final = re.compile(
    r"(?:^|/|\\|%2f|%5c)(?:\.|%2e){1,2}(?:$|/|\\|;|%2f|%5c|%3b)", re.IGNORECASE
)
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_AMBIGUOUS: Final = re.compile(r"//|\\|;|%2f|%5c|%00|%25(?:2f|5c|2e)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and the path below it, still encoded as the caller sent it.

    ``path`` is empty when the caller left out the slash after the endpoint's name.
    """

    namespace: str
    deployment: str
    path: str

    @property
    def prefix(self) -> str:
        return f"/{self.namespace}/{self.deployment}"


def endpoint_target(raw_path: str) -> Target | None:
    """The endpoint a path names; None when it names none.

    Names are matched literally, so an encoded slash never moves the border between two
    endpoints. Below it the path is the model's own business: it passes unchanged, except
    that it starts with exactly one slash (``//host`` would be read as another host by
    whoever redirects to it) and that dot segments are refused.
    """
    _refuse_dots(raw_path)
    match = _ENDPOINT.fullmatch(raw_path)
    if match is None:
        return None
    namespace, deployment, rest = match.groups()
    path = "/" + rest.lstrip("/\\") if rest else ""
    return Target(namespace, deployment, path)


def require_canonical(raw_path: str) -> None:
    """API paths have one spelling. Raises ``TargetAmbiguousError`` for any other."""
    _refuse_dots(raw_path)
    found = _AMBIGUOUS.search(raw_path)
    if found:
        raise TargetAmbiguousError(f"contains {found.group()!r}")


def _refuse_dots(raw_path: str) -> None:
    if _UNPRINTABLE.search(raw_path):
        raise TargetAmbiguousError("contains a character that must be percent-encoded")
    if _DOTS.search(raw_path):
        raise TargetAmbiguousError("contains a '.' or '..' segment")
