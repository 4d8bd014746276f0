"""Facts appended in their transaction."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.chassis.context import Cause, bound
from libs.chassis.outbox import EventTooLargeError, Outbox
from libs.chassis.postgres import Database, Pool
from libs.contracts.builder import ImageFailed
from libs.contracts.catalogue import decode
from tests.support.facts import CAUSE, ORG, Tx, fact

TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
OTHER = "00-fedcba9876543210fedcba9876543210-fedcba9876543210-01"


async def test_the_stored_bytes_are_the_whole_envelope(pool: Pool) -> None:
    cause = Cause("user:ada", ORG, "r-1", UUID(int=9), TRACE)
    now = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    database = Database(
        pool, lambda connection: Outbox(connection, service="builder", epoch=3, clock=lambda: now)
    )

    with bound(cause):
        async with database.transaction() as outbox:
            said = await outbox.append(fact(entity=5), entity_seq=8)

    row = await pool.fetchrow("SELECT * FROM outbox")
    assert row is not None
    assert decode(row["body"], ImageFailed) == said
    body = json.loads(row["body"])
    assert body | {"data": None, "id": None} == {
        "specversion": "1.0",
        "id": None,
        "source": "/yokocho/builder",
        "type": "dev.yokocho.image.failed.v1",
        "subject": f"evt.image.failed.v1.{ORG}.{UUID(int=5)}",
        "time": "2026-05-04T03:02:01Z",
        "datacontenttype": "application/json",
        "orgid": str(ORG),
        "actor": "user:ada",
        "entityid": str(UUID(int=5)),
        "entityseq": 8,
        "epoch": 3,
        "correlationid": "r-1",
        "causationid": str(UUID(int=9)),
        "traceparent": TRACE,
        "data": None,
    }
    assert (row["id"], row["subject"], row["entity_seq"]) == (said.id, body["subject"], 8)
    assert said.id.version == 7


async def test_organisation_and_trace_can_be_given(pool: Pool, database: Database[Tx]) -> None:
    other = UUID(int=77)
    with bound(CAUSE):
        async with database.transaction() as tx:
            said = await tx.outbox.append(fact(), entity_seq=1, org_id=other, traceparent=OTHER)

    assert (said.orgid, said.traceparent) == (other, OTHER)
    assert str(other) in said.subject
    assert await pool.fetchval("SELECT org_id FROM outbox") == other


async def test_a_fact_without_a_cause_is_a_bug(database: Database[Tx]) -> None:
    async with database.transaction() as tx:
        with pytest.raises(LookupError):
            await tx.outbox.append(fact(), entity_seq=1)


async def test_a_fact_that_is_too_large_is_refused(pool: Pool, database: Database[Tx]) -> None:
    large = fact().model_copy(update={"reason": "x" * 300_000})
    with bound(CAUSE):
        async with database.transaction() as tx:
            with pytest.raises(EventTooLargeError):
                await tx.outbox.append(large, entity_seq=1)

    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_ids_grow_in_the_order_of_appending(pool: Pool, database: Database[Tx]) -> None:
    with bound(CAUSE):
        async with database.transaction() as tx:
            said = [await tx.outbox.append(fact(), entity_seq=seq) for seq in range(1, 200)]

    rows = await pool.fetch("SELECT entity_seq FROM outbox ORDER BY id")
    assert [row["entity_seq"] for row in rows] == [each.entityseq for each in said]
