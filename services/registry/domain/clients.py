"""What BentoML's clients of some ages need said or done otherwise. Pure."""

import re
from typing import Final

Release = tuple[int, ...]

_TOLD_SINCE: Final = (1, 0, 7)
_KNOW_404_SINCE: Final = (1, 0, 23)
_DOUBLE_A_HEADER: Final = ((1, 2, 0), (1, 3, 5))


def takes_urls_only(client: str | None) -> bool:
    """They know signed URLs and nothing else. The oldest do not even say their version."""
    return client is None or _before(client, _TOLD_SINCE)


def knows_404(client: str | None) -> bool:
    """Others take only a 400 for it, with Yatai's words. Who does not say a version may be any."""
    return client is None or not _before(client, _KNOW_404_SINCE)


def doubles_a_header(client: str | None) -> bool:
    """They send two Content-Types with bytes that pass through us."""
    first, last = _DOUBLE_A_HEADER
    return client is not None and first <= _release(client) <= last


def _before(client: str, release: Release) -> bool:
    """What is no version is new."""
    return () < _release(client) < release


def _release(version: str) -> Release:
    """``1.3.5rc1`` is before 1.3.5, but has the same habits."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", version)
    return tuple(int(each) for each in found.groups()) if found else ()
