"""What relays have done, read from both ends."""

from collections.abc import Awaitable, Callable

from libs.chassis.bus import Bus, Publisher
from libs.chassis.errors import ServiceError
from libs.chassis.lifecycle import Wake
from libs.chassis.outbox import Relay
from libs.chassis.postgres import Pool
from tests.support.facts import SOURCE, STREAM


def relay_of(pool: Pool, publisher: Publisher, wake: Wake | None = None) -> Relay:
    return Relay(pool, publisher, service=SOURCE, wake=wake or Wake())


async def outbox(pool: Pool) -> list[str]:
    return [str(row["id"]) for row in await pool.fetch("SELECT id FROM outbox ORDER BY id")]


async def recorded(pool: Pool) -> list[str]:
    """Ids in the order of the sequences that the outbox has noted."""
    rows = await pool.fetch(
        "SELECT id, stream_seq FROM outbox WHERE published_at IS NOT NULL ORDER BY stream_seq"
    )
    assert [row["stream_seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [str(row["id"]) for row in rows]


def complete(pool: Pool) -> Callable[[], Awaitable[bool]]:
    """Whether every fact of the outbox has been said and recorded."""

    async def none_left() -> bool:
        left = await pool.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        return int(left) == 0

    return none_left


def reaches(bus: Bus, seq: int) -> Callable[[], Awaitable[bool]]:
    """Whether the stream is there and that long."""

    async def long_enough() -> bool:
        try:
            return (await bus.state(STREAM)).last_seq >= seq
        except ServiceError:
            return False

    return long_enough
