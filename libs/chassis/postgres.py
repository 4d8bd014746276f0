"""Connections and transactions. The only module that opens either."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeAlias, TypeVar

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from libs.chassis.errors import Kind, ServiceError

if TYPE_CHECKING:
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    DirectConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection: TypeAlias = PoolConnectionProxy
    DirectConnection: TypeAlias = asyncpg.Connection
    Pool: TypeAlias = asyncpg.Pool

log = structlog.get_logger(__name__)

Tx = TypeVar("Tx")
_Opened = TypeVar("_Opened")

START_WAIT: Final = timedelta(seconds=30)
_COMMAND_TIMEOUT: Final = timedelta(seconds=15)
_ACQUIRE_TIMEOUT: Final = timedelta(seconds=10)
_CLOSE_TIMEOUT: Final = timedelta(seconds=5)
_RETRY: Final = timedelta(seconds=0.2)
_SESSION: Final = {
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "10s",
}

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.DiskFullError,
    ConnectionError,
    TimeoutError,
)
"""What passes when the database, the network or a rival transaction has recovered."""

_JOINED: Final[ContextVar[Connection | None]] = ContextVar("joined", default=None)
_NOT_YET: Final = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
)
"""A server that is still starting."""


class DatabaseUnavailableError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "database-unavailable"
    title: ClassVar[str] = "The service's database does not answer"

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"the database did not answer ({type(cause).__name__}); try again")


async def patiently(
    attempt: Callable[[], Awaitable[_Opened]], *, within: timedelta = START_WAIT
) -> _Opened:
    """The first successful ``attempt``, repeated while the server is not up yet."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within.total_seconds()
    while True:
        try:
            return await attempt()
        except _NOT_YET as error:
            if clock.time() >= deadline:
                raise DatabaseUnavailableError(error) from error
        await asyncio.sleep(_RETRY.total_seconds())


@asynccontextmanager
async def create_pool(
    dsn: str, *, max_size: int, application_name: str, statement_cache_size: int = 256
) -> AsyncIterator[Pool]:
    """A pool on a server that may still be starting: waits up to 30 s for it.

    Behind a pooler in transaction mode, ``statement_cache_size`` must be 0.
    """

    async def attempt() -> Pool:
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=max_size,
            command_timeout=_COMMAND_TIMEOUT.total_seconds(),
            timeout=_ACQUIRE_TIMEOUT.total_seconds(),
            statement_cache_size=statement_cache_size,
            server_settings={**_SESSION, "application_name": application_name},
            reset=_unchanged,
        )

    pool = await patiently(attempt)
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT.total_seconds()):
                await pool.close()
        except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
            pool.terminate()


def texts(values: Iterable[object]) -> list[str]:
    """For a parameter ``$1::text[]::uuid[]``.

    About every other kind of array asyncpg asks the server once per connection, which takes 10 ms
    of whatever waits for the connection.
    """
    return [str(each) for each in values]


async def _unchanged(_: DirectConnection) -> None:
    """A round trip saved whenever a connection is given back.

    Nothing here changes a session: locks and settings are of transactions, and one that was left
    open is rolled back all the same.
    """


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the loss of the database into one error that callers may retry."""
    try:
        yield
    except _LOST as error:
        raise DatabaseUnavailableError(error) from error
    except asyncpg.InternalClientError as error:
        # a connection whose server died in the middle of a query, handed out once more
        if "another operation" in str(error):
            raise DatabaseUnavailableError(error) from error
        raise
    except asyncpg.InterfaceError as error:
        if "closed" in str(error) or "closing" in str(error):
            raise DatabaseUnavailableError(error) from error
        raise


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[Connection]:
    """One pooled connection; waiting for it and losing it are both ``unavailable``."""
    with unavailable():
        try:
            connection = await pool.acquire(timeout=_ACQUIRE_TIMEOUT.total_seconds())
        except OSError as error:
            raise DatabaseUnavailableError(error) from error
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=_CLOSE_TIMEOUT.total_seconds())


class Database(Generic[Tx]):
    """A service's tables, reached only inside ``transaction()`` or ``read()``.

    ``committed`` is called after every commit: it wakes the relay, so that an event leaves
    at once and not at the next poll.
    """

    def __init__(
        self,
        pool: Pool,
        bind: Callable[[Connection], Tx],
        *,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._pool = pool
        self._bind = bind
        self._committed = committed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Everything done through the yielded value is committed together or not at all.

        Inside ``joined`` it is a part of that transaction.
        When the connection is lost during the commit itself, ``DatabaseUnavailableError`` may
        mean either: callers retry idempotently.
        """
        joined = _JOINED.get()
        if joined is not None:
            async with joined.transaction():
                yield self._bind(joined)
            return
        async with acquired(self._pool) as connection, connection.transaction():
            yield self._bind(connection)
        self._wake()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Statements that need no common snapshot; each commits by itself."""
        joined = _JOINED.get()
        if joined is not None:
            yield self._bind(joined)
            return
        async with acquired(self._pool) as connection:
            yield self._bind(connection)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Connection]:
        """Until the end every transaction of this task, whoever begins it, is part of one.

        For what must be committed with the work of a use case that knows nothing of it. The
        task starts no others meanwhile: they would use the same connection.
        """
        async with acquired(self._pool) as connection, connection.transaction():
            token = _JOINED.set(connection)
            try:
                yield connection
            finally:
                _JOINED.reset(token)
        self._wake()

    def _wake(self) -> None:
        if self._committed is not None:
            self._committed()
