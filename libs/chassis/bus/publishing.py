"""Publish facts: atomic batches, fenced by the stream's last sequence, idempotent by id."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog
from nats.aio.msg import Msg

from libs.chassis.bus.errors import (
    BatchDuplicateError,
    BusRefusedError,
    FencedError,
    answered,
)
from libs.chassis.bus.streams import StreamState

log = structlog.get_logger(__name__)

MAX_BATCH: Final = 500
"""Half of what the server takes."""

_PUBLISH_WAIT: Final = timedelta(seconds=5)
_FENCED: Final = frozenset({10071, 10164})
_DUPLICATE: Final = 10201


@dataclass(frozen=True, slots=True)
class Message:
    """Exact bytes for one subject. ``id`` makes sending it again harmless."""

    id: str
    subject: str
    body: bytes


class Publisher(Protocol):
    """What the relay needs of a bus."""

    async def ensure_stream(self, service: str) -> StreamState: ...

    async def state(self, stream: str) -> StreamState: ...

    async def acknowledged(self, stream: str, consumer: str) -> int: ...

    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]: ...

    def stored_ids(
        self, stream: str, *, after: int, upto: int
    ) -> AsyncIterator[tuple[int, str]]: ...


class Wire(Protocol):
    async def request(
        self,
        subject: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = ...,
    ) -> Msg: ...

    async def say(
        self,
        subject: str,
        body: bytes,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None: ...


async def publish_batch(
    wire: Wire, messages: Sequence[Message], *, stream: str, expected_last: int | None
) -> list[int]:
    """Store all or nothing; the stream sequence of each message.

    With ``expected_last`` the stream must end there, else ``FencedError`` and nothing is
    stored. The server refuses a batch that repeats a message; then they go one by one, and
    those that the stream has already answer with the sequence they have. No answer is
    ``BusUnavailableError`` and means *unknown*.
    """
    if len(messages) > 1:
        try:
            return await _atomically(wire, messages, stream=stream, expected_last=expected_last)
        except BatchDuplicateError:
            log.info("bus.batch_repeats", stream=stream, messages=len(messages))
    sequences: list[int] = []
    for message in messages:
        headers = _headers(message, stream=stream, expected_last=expected_last)
        seq = int((await _acknowledged(wire, message, headers))["seq"])
        sequences.append(seq)
        if expected_last is not None:
            expected_last = max(expected_last, seq)
    return sequences


async def _atomically(
    wire: Wire, messages: Sequence[Message], *, stream: str, expected_last: int | None
) -> list[int]:
    batch = uuid4().hex
    *most, last = messages
    for number, message in enumerate(most, 1):
        fence = expected_last if number == 1 else None
        headers = _headers(message, stream=stream, expected_last=fence)
        headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        await wire.say(message.subject, message.body, headers=headers)
    headers = _headers(last, stream=stream, expected_last=None) | {
        "Nats-Batch-Id": batch,
        "Nats-Batch-Sequence": str(len(messages)),
        "Nats-Batch-Commit": "1",
    }
    stored = await _acknowledged(wire, last, headers)
    end = int(stored["seq"])
    return list(range(end - len(messages) + 1, end + 1))


async def _acknowledged(wire: Wire, message: Message, headers: Mapping[str, str]) -> dict[str, Any]:
    answer = await wire.request(
        message.subject, message.body, headers=headers, timeout=_PUBLISH_WAIT
    )
    try:
        return answered(message.subject, answer.data)
    except BusRefusedError as error:
        raise _precisely(error, message.subject) from error


def _precisely(error: BusRefusedError, subject: str) -> BusRefusedError:
    kind = BusRefusedError
    if error.err_code in _FENCED:
        kind = FencedError
    elif error.err_code == _DUPLICATE:
        kind = BatchDuplicateError
    return kind(
        subject, status=error.status, err_code=error.err_code, description=error.description
    )


def _headers(message: Message, *, stream: str, expected_last: int | None) -> dict[str, str]:
    headers = {"Nats-Msg-Id": message.id, "Nats-Expected-Stream": stream}
    if expected_last is not None:
        headers["Nats-Expected-Last-Sequence"] = str(expected_last)
    return headers
