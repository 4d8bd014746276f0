"""Uploads by signed URL, and how clients are told to send."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.registry.domain.clients import doubles_a_header, takes_urls_only


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
    if setting is Strategy.PROXY and doubles_a_header(client):
        setting = Strategy.PRESIGNED
    if setting is Strategy.PRESIGNED and at_once is not None and size > at_once:
        return Strategy.MULTIPART
    return setting
