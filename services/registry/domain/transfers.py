"""Uploads by signed URL, and how clients are told to send."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID


class Strategy(StrEnum):
    """How clients send bytes: to us, to a signed URL, or in parts to one each."""

    PROXY = "proxy"
    PRESIGNED = "presigned"
    MULTIPART = "multipart"


@dataclass(frozen=True, slots=True)
class Transfer:
    """An upload by signed URL. ``location`` is in the store; None: the bytes come to us.

    ``parts``: number and ETag of each, as the client named them. ``actor``, ``correlation`` and
    ``traceparent`` are those of whoever began it, for what follows later.
    """

    id: UUID
    org_id: UUID
    version_id: UUID
    in_parts: bool
    location: str | None
    store_upload: str | None
    parts: tuple[tuple[int, str], ...]
    actor: str
    correlation: str
    traceparent: str | None
    expires_at: datetime


AT_ONCE: Final = 4 * 2**30
"""S3 takes 5 GiB in one request; an archive is larger than the files in it."""
_TOLD_SINCE: Final = (1, 0, 7)
"""Older clients know signed URLs and nothing else."""
_DOUBLES_A_HEADER: Final = ((1, 2, 0), (1, 3, 5))
"""Clients of these versions send two Content-Types with bytes that pass through us."""


def strategy_for(
    setting: Strategy, client: str | None, *, size: int = 0, at_once: int | None = None
) -> Strategy:
    """What ``client`` (its version, where it says so) can do with ``size`` bytes.

    ``at_once``: how many the store takes in one request.
    """
    if client is None:
        return setting
    if takes_urls_only(client):
        return Strategy.PRESIGNED
    first, last = _DOUBLES_A_HEADER
    if setting is Strategy.PROXY and first <= _release(client) <= last:
        setting = Strategy.PRESIGNED
    if setting is Strategy.PRESIGNED and at_once is not None and size > at_once:
        return Strategy.MULTIPART
    return setting


def takes_urls_only(client: str | None) -> bool:
    """Those that do not even say their version are the oldest."""
    return client is None or () < _release(client) < _TOLD_SINCE


def _release(version: str) -> tuple[int, ...]:
    """``1.3.5rc1`` is before 1.3.5, but has the same habits."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", version)
    return tuple(int(each) for each in found.groups()) if found else ()
