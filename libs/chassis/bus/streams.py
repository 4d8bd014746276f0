"""Streams: made from the contracts, inspected, read back by sequence."""

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.parser import BytesParser
from typing import Any, Final, Protocol

import structlog

from libs.chassis.bus.errors import BusRefusedError
from libs.chassis.settings import STREAM_BYTES
from libs.contracts.bus import stream_of, stream_subjects
from libs.contracts.event import MAX_BYTES

log = structlog.get_logger(__name__)

MAX_AGE: Final = timedelta(days=14)
DUPLICATE_WINDOW: Final = timedelta(minutes=10)
_HEADER_BYTES: Final = 4096

NOT_FOUND: Final = 404
_NAME_IN_USE: Final = 10058
_NO_MESSAGE: Final = 10037


class Api(Protocol):
    async def api(self, verb: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class StreamState:
    """``created`` tells one life of a stream from the next."""

    created: datetime
    first_seq: int
    last_seq: int


def config(service: str, *, max_bytes: int = STREAM_BYTES, replicas: int = 1) -> dict[str, Any]:
    """The stream of everything ``service`` says.

    A full one discards its oldest facts, which stay in the outbox. Refusing new ones instead
    would stop every service until the oldest fact is ``MAX_AGE`` old.
    """
    return {
        "name": stream_of(service),
        "subjects": list(stream_subjects(service)),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "max_age": nanoseconds(MAX_AGE),
        "duplicate_window": nanoseconds(DUPLICATE_WINDOW),
        "max_msg_size": MAX_BYTES + _HEADER_BYTES,
        "max_msgs": -1,
        "max_bytes": max_bytes,
        "max_consumers": -1,
        "allow_atomic": True,
        "deny_delete": True,
        "deny_purge": True,
        "compression": "s2",
    }


async def ensure(bus: Api, service: str, *, max_bytes: int = STREAM_BYTES) -> StreamState:
    """Create the stream, or change an existing one to what the code says.

    A change that the server refuses is ``BusRefusedError``: code and server disagree, and
    nobody may go on as if they did not.
    """
    wanted = config(service, max_bytes=max_bytes)
    name = wanted["name"]
    try:
        found = await bus.api(f"STREAM.CREATE.{name}", wanted)
    except BusRefusedError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        found = await bus.api(f"STREAM.UPDATE.{name}", wanted)
        log.warning("stream.updated", stream=name)
    return _state(found)


async def state(bus: Api, stream: str) -> StreamState:
    return _state(await bus.api(f"STREAM.INFO.{stream}"))


async def acknowledged(bus: Api, stream: str, consumer: str) -> int:
    """Up to which sequence that consumer is done with everything; 0 where it does not exist."""
    try:
        found = await bus.api(f"CONSUMER.INFO.{stream}.{consumer}")
    except BusRefusedError as error:
        if error.status != NOT_FOUND:
            raise
        return 0
    return int(found["ack_floor"]["stream_seq"])


async def stored_ids(
    bus: Api, stream: str, *, after: int, upto: int
) -> AsyncIterator[tuple[int, str]]:
    """Expired sequences are skipped."""
    for seq in range(after + 1, upto + 1):
        try:
            found = await bus.api(f"STREAM.MSG.GET.{stream}", {"seq": seq})
        except BusRefusedError as error:
            if error.err_code != _NO_MESSAGE:
                raise
            continue
        yield seq, _message_id(found["message"])


def nanoseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1_000_000_000)


def _state(info: Mapping[str, Any]) -> StreamState:
    return StreamState(
        created=datetime.fromisoformat(_microseconds(info["created"])),
        first_seq=info["state"]["first_seq"],
        last_seq=info["state"]["last_seq"],
    )


def _microseconds(moment: str) -> str:
    """RFC 3339 with nanoseconds, cut to what ``datetime`` can hold."""
    whole, dot, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}{dot}{fraction[:6].ljust(6, '0') if dot else ''}+00:00"


def _message_id(message: Mapping[str, Any]) -> str:
    raw = base64.b64decode(message.get("hdrs", ""))
    _, _, headers = raw.partition(b"\r\n")
    return str(BytesParser().parsebytes(headers).get("Nats-Msg-Id", ""))
