"""One connection that reconnects for ever, and says so when it cannot."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.chassis.bus import publishing, streams
from libs.chassis.bus.errors import BusLostError, BusUnavailableError, answered
from libs.chassis.bus.publishing import Message
from libs.chassis.bus.streams import StreamState
from libs.chassis.settings import STREAM_BYTES, BusSettings
from libs.contracts.bus import inbox_prefix

log = structlog.get_logger(__name__)

START_WAIT: Final = timedelta(seconds=30)
ANSWER_WAIT: Final = timedelta(seconds=5)
_CLOSE_WAIT: Final = timedelta(seconds=3)
_LEAVE_WAIT: Final = timedelta(seconds=1)
_PENDING_BYTES: Final = 8 * 2**20

Callback = Callable[..., Awaitable[None]]


async def connect(
    url: str,
    service: str,
    *,
    stream_bytes: int = STREAM_BYTES,
    ping_interval: timedelta = timedelta(seconds=5),
    start_wait: timedelta = START_WAIT,
) -> "Bus":
    """Connect as ``service``; a server that is still starting is awaited for 30 s.

    ``url`` carries user and password; several servers are separated by commas. A stream that
    is made holds at most ``stream_bytes``.
    """
    bus = Bus(Client(), service, stream_bytes=stream_bytes)
    try:
        async with asyncio.timeout(start_wait.total_seconds()):
            await bus.open(url, ping_interval=ping_interval)
    except TimeoutError as error:
        await bus.close()
        raise BusUnavailableError("the message bus did not answer at start") from error
    return bus


async def join(settings: BusSettings, service: str) -> "Bus":
    """Connect as ``service`` to where, and with the limits that, its environment says."""
    url = settings.url.get_secret_value()
    return await connect(url, service, stream_bytes=settings.stream_bytes)


class Bus:
    """Everything has a deadline, and no callback can kill the client's read loop."""

    def __init__(self, client: Client, service: str, *, stream_bytes: int = STREAM_BYTES) -> None:
        self._client = client
        self._service = service
        self._stream_bytes = stream_bytes
        self._closed = asyncio.Event()
        self._reconnected: set[Callable[[], None]] = set()
        self._waiting: set[asyncio.Timeout] = set()

    async def open(self, url: str, *, ping_interval: timedelta) -> None:
        await self._client.connect(
            servers=url.split(","),
            name=self._service,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # the library's hint is narrower than its use
            connect_timeout=2,
            ping_interval=ping_interval.total_seconds(),  # type: ignore[arg-type]  # same
            max_outstanding_pings=2,
            pending_size=_PENDING_BYTES,
            drain_timeout=3,
            inbox_prefix=inbox_prefix(self._service),
            error_cb=_safe(self._on_error),
            disconnected_cb=_safe(self._on_disconnected),
            reconnected_cb=_safe(self._on_reconnected),
            closed_cb=_safe(self._on_closed),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close without draining: whoever subscribes has settled its messages before."""
        try:
            with suppress(TimeoutError, OSError, nats.errors.Error):
                async with asyncio.timeout(_CLOSE_WAIT.total_seconds()):
                    await self._client.close()
        finally:  # a close without a connection, or cut short, leaves the tasks that read
            for left in self._client._subs.values():  # noqa: SLF001 - nothing public lists them
                left._stop_processing()  # noqa: SLF001 - same

    @property
    def connected(self) -> bool:
        """What the client believes. For liveness ask ``round_trip``."""
        return self._client.is_connected

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after every reconnect; returns how to stop that."""
        self._reconnected.add(listener)
        return lambda: self._reconnected.discard(listener)

    async def round_trip(self, *, timeout: timedelta = timedelta(seconds=2)) -> None:
        """Through the client, the server and JetStream and back."""
        await self.api("INFO", timeout=timeout)

    async def watch(
        self,
        *,
        every: timedelta = timedelta(seconds=5),
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        """A loop that ends, with an error, when there was no round trip for ``patience``.

        The client reconnects for ever and believes in connections that are dead; the process
        that runs this loop does not.
        """
        clock = asyncio.get_running_loop()
        heard = clock.time()
        while True:
            with suppress(BusUnavailableError):
                await self.round_trip(timeout=min(every, timedelta(seconds=2)))
                heard = clock.time()
            if self._closed.is_set() or self._client.is_closed:
                raise BusLostError("the bus client gave up its connection")
            if clock.time() - heard > patience.total_seconds():
                raise BusLostError(f"no round trip through the bus for {patience}")
            with suppress(TimeoutError):
                async with asyncio.timeout(every.total_seconds()):
                    await self._closed.wait()

    async def request(
        self,
        subject: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = ANSWER_WAIT,
    ) -> Msg:
        """One answer or ``BusUnavailableError``. The given headers are never changed."""
        if not self._client.is_connected:
            raise BusUnavailableError("not connected to the message bus")
        guard = asyncio.timeout(timeout.total_seconds())
        try:
            with _cancellable():
                async with guard:
                    self._waiting.add(guard)
                    return await self._client.request(
                        subject,
                        body,
                        timeout=timeout.total_seconds() + 1,
                        headers=dict(headers) if headers is not None else None,
                    )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise BusUnavailableError(f"no answer on {subject} ({type(error).__name__})") from error
        finally:
            self._waiting.discard(guard)

    async def say(
        self,
        subject: str,
        body: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Publish without an answer: acknowledgements and pulls, never facts."""
        try:
            with _cancellable():
                await self._client.publish(
                    subject,
                    body,
                    reply=reply,
                    headers=dict(headers) if headers is not None else None,
                )
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailableError(f"cannot say {subject} ({type(error).__name__})") from error

    async def api(
        self,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta = ANSWER_WAIT,
    ) -> dict[str, Any]:
        """One JetStream API call; its error is ``BusRefusedError``."""
        raw = json.dumps(body).encode() if body is not None else b""
        answer = await self.request(f"$JS.API.{verb}", raw, timeout=timeout)
        return answered(verb, answer.data)

    async def listen(
        self, arrived: Callable[[Msg], Awaitable[None]]
    ) -> tuple[str, Callable[[], Awaitable[None]]]:
        """A fresh inbox whose messages go to ``arrived``, and how to leave it.

        Leaving ends when everything that was on its way has arrived.
        """
        inbox = self._client.new_inbox()
        try:
            held = await self._client.subscribe(f"{inbox}.*", cb=arrived)
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailableError("cannot subscribe") from error

        async def leave() -> None:
            with suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_LEAVE_WAIT.total_seconds()):
                    await held.drain()  # type: ignore[no-untyped-call]  # the library leaves it open

        return inbox, leave

    async def ensure_stream(self, service: str) -> StreamState:
        """The service's stream, as the code describes it."""
        return await streams.ensure(self, service, max_bytes=self._stream_bytes)

    async def state(self, stream: str) -> StreamState:
        return await streams.state(self, stream)

    async def acknowledged(self, stream: str, consumer: str) -> int:
        return await streams.acknowledged(self, stream, consumer)

    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        """Stream sequences in the order of ``messages``, all of them on disk."""
        return await publishing.publish_batch(
            self, messages, stream=stream, expected_last=expected_last
        )

    def stored_ids(self, stream: str, *, after: int, upto: int) -> AsyncIterator[tuple[int, str]]:
        """``(sequence, message id)`` of what the stream holds in that range."""
        return streams.stored_ids(self, stream, after=after, upto=upto)

    async def _on_error(self, error: Exception) -> None:
        log.warning("bus.error", error=str(error) or type(error).__name__)

    async def _on_disconnected(self) -> None:
        """Answers that were on their way will not come: whoever waits is told now."""
        log.warning("bus.disconnected")
        now = asyncio.get_running_loop().time()
        for guard in self._waiting:
            if not guard.expired():
                guard.reschedule(now)

    async def _on_reconnected(self) -> None:
        log.info("bus.reconnected")
        for listener in tuple(self._reconnected):
            listener()

    async def _on_closed(self) -> None:
        self._closed.set()


@contextmanager
def _cancellable() -> Iterator[None]:
    """Raise the cancellation that the client lost.

    It waits with ``asyncio.wait_for``, which before Python 3.12 drops a cancellation that
    arrives together with the answer; its flush drops every one.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def _safe(callback: Callback) -> Callback:
    """An exception in a callback would end the client's read or reconnect loop for good."""

    async def guarded(*args: object) -> None:
        try:
            await callback(*args)
        except Exception:
            log.exception("bus.callback_failed")

    return guarded
