"""Leadership: a row with an expiry and a fencing number, in the service's own database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import ClassVar, Final

import structlog

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.postgres import Connection, Pool, acquired

log = structlog.get_logger(__name__)

_RELEASE_WAIT: Final = timedelta(seconds=2)

_TAKE: Final = """
INSERT INTO lease AS held (name, holder, fence, expires_at) VALUES ($1, $2, 1, now() + $3::interval)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, fence = held.fence + 1, expires_at = excluded.expires_at
WHERE held.expires_at <= now()
RETURNING fence
"""
_RENEW: Final = """
UPDATE lease SET expires_at = now() + $4::interval
WHERE name = $1 AND holder = $2 AND fence = $3 AND expires_at > now()
RETURNING true
"""
_RELEASE: Final = """
UPDATE lease SET expires_at = now() WHERE name = $1 AND holder = $2 AND fence = $3
"""
_CONFIRM: Final = """
SELECT true FROM lease WHERE name = $1 AND holder = $2 AND fence = $3 AND expires_at > now()
FOR SHARE
"""


class LeaseLostError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "lease-lost"
    title: ClassVar[str] = "Another replica may have taken over"


class Lease:
    """One name, at most one holder at a time.

    The database's clock decides; the holder's own patience runs on its monotonic clock and
    ends first, because it counts from before each renewal was sent.
    """

    def __init__(
        self, pool: Pool, name: str, holder: str, *, ttl: timedelta = timedelta(seconds=10)
    ) -> None:
        self._pool = pool
        self._name = name
        self._holder = holder
        self._ttl = ttl

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[int]:
        """Wait for the lease and yield its fencing number; renewed while the body runs.

        A body that outlives the lease is cancelled and becomes ``LeaseLostError``. The end of
        the body gives the lease back at once.
        """
        asked, fence = await self._taken()
        log.info("lease.taken", lease=self._name, fence=fence)
        guard = asyncio.timeout_at(asked + self._ttl.total_seconds())
        try:
            async with guard:
                renewal = asyncio.create_task(self._renew(fence, guard))
                try:
                    yield fence
                finally:
                    renewal.cancel()
                    await asyncio.wait([renewal])
        except TimeoutError as error:
            if not guard.expired():
                raise
            raise LeaseLostError(f"the lease {self._name} could not be renewed") from error
        finally:
            await self._give_back(fence)

    async def confirm(self, connection: Connection, fence: int) -> None:
        """Raise ``LeaseLostError`` unless ``fence`` is the newest; nobody takes over until commit.

        For transactions whose writes must not happen after a takeover.
        """
        row = (self._name, self._holder, fence)
        if not await connection.fetchval(_CONFIRM, *row):
            raise LeaseLostError(f"the lease {self._name} has another holder")

    async def _taken(self) -> tuple[float, int]:
        clock = asyncio.get_running_loop()
        while True:
            asked = clock.time()
            with suppress(ServiceError):
                async with acquired(self._pool) as connection:
                    row = (self._name, self._holder, self._ttl)
                    fence = await connection.fetchval(_TAKE, *row)
                if fence is not None:
                    return asked, int(fence)
            await asyncio.sleep(self._ttl.total_seconds() / 4)

    async def _renew(self, fence: int, guard: asyncio.Timeout) -> None:
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._ttl.total_seconds() / 3)
            asked = clock.time()
            with suppress(ServiceError):
                async with acquired(self._pool) as connection:
                    row = (self._name, self._holder, fence, self._ttl)
                    renewed = await connection.fetchval(_RENEW, *row)
                if guard.expired():
                    return
                guard.reschedule(asked + self._ttl.total_seconds() if renewed else clock.time())

    async def _give_back(self, fence: int) -> None:
        """Best effort: a lease that is not given back expires."""
        with suppress(ServiceError, TimeoutError):
            async with (
                asyncio.timeout(_RELEASE_WAIT.total_seconds()),
                acquired(self._pool) as connection,
            ):
                await connection.execute(_RELEASE, self._name, self._holder, fence)
        log.info("lease.given_back", lease=self._name, fence=fence)
