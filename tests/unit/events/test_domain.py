"""The chain's rules: what follows, what breaks it, and that erasing a payload does not."""

import hashlib
from collections.abc import Callable
from uuid import UUID

import pytest

from services.events.domain import Break, Head, anchor, follow, genesis, link

ORG = UUID(int=7)
Links = list[tuple[int, bytes, bytes, bytes | None]]


def chain(*bodies: bytes) -> list[tuple[int, bytes, bytes, bytes | None]]:
    entries: list[tuple[int, bytes, bytes, bytes | None]] = []
    last = genesis(ORG)
    for seq, body in enumerate(bodies, start=1):
        digest = hashlib.sha256(body).digest()
        last = link(last, seq=seq, body_digest=digest)
        entries.append((seq, last, digest, body))
    return entries


START = Head(ORG, 0, genesis(ORG))


def test_an_intact_chain_ends_in_its_last_hash() -> None:
    entries = chain(b"a", b"b", b"c")

    assert follow(START, entries) == Head(ORG, 3, entries[-1][1])


def test_a_chain_can_be_walked_in_pages() -> None:
    entries = chain(b"a", b"b", b"c")
    first = follow(START, entries[:1])

    assert isinstance(first, Head)
    assert follow(first, entries[1:]) == Head(ORG, 3, entries[-1][1])


def test_an_erased_payload_keeps_the_chain_whole() -> None:
    entries = chain(b"a", b"secret", b"c")
    entries[1] = (*entries[1][:3], None)

    assert isinstance(follow(START, entries), Head)


@pytest.mark.parametrize(
    ("damage", "seq"),
    [
        pytest.param(lambda e: [e[0], (*e[1][:3], b"other"), e[2]], 2, id="bytes-changed"),
        pytest.param(lambda e: [e[0], e[2]], 3, id="entry-removed"),
        pytest.param(
            lambda e: [e[0], (2, e[1][1], hashlib.sha256(b"x").digest(), b"x"), e[2]],
            2,
            id="bytes-and-digest-changed",
        ),
        pytest.param(lambda e: [e[1], e[0], e[2]], 2, id="order-changed"),
    ],
)
def test_damage_is_found_where_it_is(damage: Callable[[Links], Links], seq: int) -> None:
    found = follow(START, damage(chain(b"a", b"b", b"c")))

    assert isinstance(found, Break)
    assert found.seq == seq


def test_tenants_chains_differ_from_the_first_entry_on() -> None:
    assert genesis(ORG) != genesis(UUID(int=8))


def test_an_anchor_covers_every_head_whatever_their_order() -> None:
    one, two = Head(UUID(int=1), 4, b"x" * 32), Head(UUID(int=2), 9, b"y" * 32)

    assert anchor(b"p", [one, two]) == anchor(b"p", [two, one])
    assert anchor(b"p", [one, two]) != anchor(b"p", [one, Head(two.org_id, 9, b"z" * 32)])
