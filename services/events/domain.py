"""The log's rules: how an entry follows from the one before it, and what a query may ask."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

_DOMAIN: Final = b"yokocho event log v1\0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact at its place in an organisation's chain."""

    seq: int
    hash: bytes
    body: bytes
    short_name: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends. ``seq`` 0 is the empty chain."""

    org_id: UUID
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries of one organisation's chain; every member narrows."""

    after: int = 0
    limit: int = 100
    types: tuple[str, ...] = ()
    entity_id: UUID | None = None
    correlation_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def genesis(org_id: UUID) -> bytes:
    """The hash before an organisation's first entry: chains of two tenants never look alike."""
    return hashlib.sha256(_DOMAIN + org_id.bytes).digest()


def link(previous: bytes, *, seq: int, body_digest: bytes) -> bytes:
    """The hash of entry ``seq``. Needs only the body's SHA-256, so a payload can be erased."""
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + body_digest).digest()


def anchor(previous: bytes, heads: Iterable[Head]) -> bytes:
    """The platform chain's next hash over every organisation's head, in org order."""
    digest = hashlib.sha256(previous)
    for head in sorted(heads, key=lambda each: each.org_id.bytes):
        digest.update(head.org_id.bytes + head.seq.to_bytes(8, "big") + head.hash)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry of a chain that does not follow from the one before it."""

    seq: int
    why: str


def follow(
    previous: Head, entries: Iterable[tuple[int, bytes, bytes, bytes | None]]
) -> Head | Break:
    """Walk ``(seq, hash, body digest, body or None when erased)`` on from ``previous``."""
    seq, last = previous.seq, previous.hash
    for number, stored, digest, body in entries:
        if number != seq + 1:
            return Break(number, f"follows {seq}: entries are missing")
        if body is not None and hashlib.sha256(body).digest() != digest:
            return Break(number, "its bytes are not those that were recorded")
        if link(last, seq=number, body_digest=digest) != stored:
            return Break(number, "its hash does not follow from the entry before")
        seq, last = number, stored
    return Head(previous.org_id, seq, last)
