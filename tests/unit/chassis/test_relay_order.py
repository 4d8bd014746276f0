"""Which facts go into a batch, and in which order."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.outbox.relay import Row, bounded, in_entity_order


def row(number: int, *, entity: int = 1, seq: int = 1, size: int = 1) -> Row:
    return Row(UUID(int=number), UUID(int=entity), seq, "evt.x", b"x" * size)


def test_versions_of_an_entity_are_never_turned_round() -> None:
    newer, other, older = row(1, seq=2), row(2, entity=9), row(3, seq=1)

    assert in_entity_order([newer, other, older]) == [older, other, newer]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), max_size=40))
def test_every_row_stays_and_every_entity_is_in_order(pairs: list[tuple[int, int]]) -> None:
    rows = [row(number, entity=entity, seq=seq) for number, (entity, seq) in enumerate(pairs)]

    ordered = in_entity_order(rows)

    assert sorted(ordered, key=lambda each: each.id) == rows
    assert [each.entity_id for each in ordered] == [each.entity_id for each in rows]
    for entity in {each.entity_id for each in rows}:
        versions = [each.entity_seq for each in ordered if each.entity_id == entity]
        assert versions == sorted(versions)


def test_a_batch_is_bounded_by_weight_and_never_empty() -> None:
    heavy = [row(number, size=3 * 2**20) for number in range(3)]

    assert bounded(heavy) == heavy[:1]
    assert bounded([row(1, size=9 * 2**20)]) != []
    assert len(bounded([row(number) for number in range(500)])) == 500
