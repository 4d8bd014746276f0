"""Leadership on a real database."""

import asyncio
from datetime import timedelta

import pytest

from libs.chassis.lease import Lease, LeaseLostError
from libs.chassis.postgres import Connection, Database, Pool

TTL = timedelta(seconds=0.6)


async def test_one_holds_at_a_time_and_every_change_raises_the_fence(pool: Pool) -> None:
    holding = 0
    fences: list[int] = []

    async def lead(holder: str) -> None:
        nonlocal holding
        async with Lease(pool, "a", holder, ttl=TTL).hold() as fence:
            holding += 1
            assert holding == 1
            fences.append(fence)
            await asyncio.sleep(0.05)
            holding -= 1

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for each in "abcde":
            group.create_task(lead(each))

    assert fences == [1, 2, 3, 4, 5]


async def test_a_lease_is_renewed_for_as_long_as_it_is_held(pool: Pool) -> None:
    async with Lease(pool, "a", "first", ttl=TTL).hold():
        await asyncio.sleep(TTL.total_seconds() * 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), Lease(pool, "a", "second", ttl=TTL).hold():
                pass


async def test_a_holder_that_cannot_renew_is_stopped_before_another_starts(pool: Pool) -> None:
    clock = asyncio.get_running_loop()
    held: list[float] = []

    async def lead(blocker: Connection) -> None:
        async with Lease(pool, "a", "first", ttl=TTL).hold():
            held.append(clock.time())
            await blocker.execute("LOCK TABLE lease")
            try:
                await asyncio.Event().wait()
            finally:
                held.append(clock.time())

    async with pool.acquire() as blocker, blocker.transaction():
        with pytest.raises(LeaseLostError):
            await lead(blocker)

    started, ended = held
    assert ended - started <= TTL.total_seconds()
    async with Lease(pool, "a", "second", ttl=TTL).hold() as fence:
        assert fence == 2


async def test_a_lease_that_was_taken_over_ends_its_holder_at_the_next_renewal(pool: Pool) -> None:
    async def lead() -> None:
        async with asyncio.timeout(3), Lease(pool, "a", "first", ttl=TTL).hold():
            await pool.execute("UPDATE lease SET holder = 'other', fence = fence + 1")
            await asyncio.Event().wait()

    with pytest.raises(LeaseLostError):
        await lead()


async def test_writes_of_an_overtaken_holder_are_refused(pool: Pool) -> None:
    database = Database(pool, lambda connection: connection)
    lease = Lease(pool, "a", "first", ttl=TTL)
    async with lease.hold() as fence:
        async with database.transaction() as tx:
            await lease.confirm(tx, fence)
        await pool.execute("UPDATE lease SET fence = fence + 1")

        with pytest.raises(LeaseLostError):
            async with database.transaction() as tx:
                await lease.confirm(tx, fence)


async def test_errors_of_the_body_are_its_own(pool: Pool) -> None:
    for error in (ZeroDivisionError, TimeoutError):
        with pytest.raises(error):
            async with Lease(pool, "a", "first", ttl=TTL).hold():
                raise error


async def test_the_end_gives_the_lease_back_at_once(pool: Pool) -> None:
    ttl = timedelta(seconds=30)
    async with Lease(pool, "a", "first", ttl=ttl).hold():
        pass

    async with asyncio.timeout(1), Lease(pool, "a", "second", ttl=ttl).hold() as fence:
        assert fence == 2
