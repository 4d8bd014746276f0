"""Transactions on a real server."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from libs.chassis.inbox import Inbox
from libs.chassis.partitions import ensure_partitions
from libs.chassis.postgres import (
    Connection,
    Database,
    DatabaseUnavailableError,
    Pool,
    create_pool,
    patiently,
)
from tests.support.facts import Tx, bind, say

TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def same(connection: Connection) -> Connection:
    return connection


async def test_a_commit_is_announced_and_a_rollback_is_not(pool: Pool) -> None:
    announced: list[bool] = []
    database = Database(pool, same, committed=lambda: announced.append(True))

    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE t (n integer)")
        assert announced == []

    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.read() as tx:
        rows = await tx.fetchval("SELECT count(*) FROM t")

    assert (announced, rows) == ([True], 0)


async def test_constraints_reach_the_caller_as_they_are(pool: Pool) -> None:
    async with Database(pool, same).transaction() as tx:
        await tx.execute("INSERT INTO lease VALUES ('a', 'me', 1, now())")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.transaction():
                await tx.execute("INSERT INTO lease VALUES ('a', 'me', 1, now())")


async def test_a_lost_connection_is_unavailable_and_the_next_one_works(pool: Pool) -> None:
    database = Database(pool, same)

    async def lose() -> None:
        async with database.transaction() as tx, pool.acquire() as killer:
            await killer.execute(TERMINATE)
            await tx.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailableError):
        await lose()

    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT 1") == 1


async def test_a_lock_that_is_never_free_is_unavailable(pool: Pool) -> None:
    database = Database(pool, same)

    async def lock() -> None:
        async with database.transaction() as tx:
            await tx.execute("SET LOCAL lock_timeout = '100ms'")
            await tx.execute("LOCK TABLE lease")

    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE lease")

        with pytest.raises(DatabaseUnavailableError):
            await lock()


async def test_an_exhausted_pool_is_unavailable_in_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.postgres._ACQUIRE_TIMEOUT", timedelta(seconds=0.2))
    async with create_pool(database_url, max_size=1, application_name="small") as small:
        database = Database(small, same)
        async with database.read():
            with pytest.raises(DatabaseUnavailableError):
                async with asyncio.timeout(2), database.read():
                    pass


async def test_a_server_that_is_not_up_yet_is_awaited_and_one_that_never_is_reported() -> None:
    attempts = 0

    async def third_time() -> str:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ConnectionRefusedError
        return "up"

    async def never() -> str:
        raise ConnectionRefusedError

    assert await patiently(third_time) == "up"
    with pytest.raises(DatabaseUnavailableError):
        await patiently(never, within=timedelta(seconds=0.3))


async def test_wrong_passwords_and_names_are_reported_at_once(database_url: str) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        async with create_pool(
            database_url.replace("/test_", "/absent_"), max_size=1, application_name="x"
        ):
            pass


async def test_an_event_is_claimed_once_per_consumer(pool: Pool) -> None:
    database = Database(pool, bind)
    await say(database, 1)
    event = await pool.fetchval("SELECT id FROM outbox")

    async def claim(consumer: str) -> bool:
        async with Database(pool, Inbox).transaction() as inbox:
            claimed = await inbox.claim(consumer, event)
            await asyncio.sleep(0.05)
            return claimed

    rivals = await asyncio.gather(*(claim("a-b-v1") for _ in range(4)), claim("c-d-v1"))

    assert sorted(rivals[:4]) == [False, False, False, True]
    assert rivals[4]


async def test_a_claim_is_undone_with_its_effect(pool: Pool) -> None:
    database = Database(pool, bind)
    await say(database, 1)
    event = await pool.fetchval("SELECT id FROM outbox")

    async def fail() -> None:
        async with database.transaction() as tx:
            assert await tx.inbox.claim("a-b-v1", event)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as tx:
        assert await tx.inbox.claim("a-b-v1", event)


async def test_rows_live_in_the_week_of_their_id(pool: Pool) -> None:
    database: Database[Tx] = Database(pool, bind)
    await say(database, 3)

    async with pool.acquire() as connection:
        await ensure_partitions(connection)
        await ensure_partitions(connection)

    assert await pool.fetchval("SELECT count(*) FROM outbox_default") == 0
    parts = await pool.fetch("SELECT tableoid::regclass::text AS part FROM outbox")
    assert {row["part"] for row in parts} < await _partitions(pool)


async def test_rows_that_found_no_partition_move_into_theirs(pool: Pool) -> None:
    database: Database[Tx] = Database(pool, bind)
    for week in await _partitions(pool) - {"outbox_default"}:
        await pool.execute(f"DROP TABLE {week}")
    await say(database, 3)
    assert await pool.fetchval("SELECT count(*) FROM outbox_default") == 3

    async with pool.acquire() as connection:
        await ensure_partitions(connection)

    assert await pool.fetchval("SELECT count(*) FROM outbox_default") == 0
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 3


async def _partitions(pool: Pool) -> set[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS part FROM pg_inherits "
        "WHERE inhparent = 'outbox'::regclass"
    )
    return {row["part"] for row in rows}
