"""What becomes of a message: ack what is done, retry what may work, bury what never will."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from libs.chassis import metrics, telemetry
from libs.chassis.context import Cause, bound
from libs.chassis.deadletters import DeadLetter
from libs.chassis.errors import ServiceError
from libs.contracts.bus import ConsumerSpec
from libs.contracts.catalogue import EVENTS, decode
from libs.contracts.event import Envelope

log = structlog.get_logger(__name__)

MAX_STRIKES: Final = 8
"""Attempts that may end in an unknown exception, or in the death of the process."""

HANDLER_LIMIT: Final = timedelta(minutes=10)
_FIRST_DELAY: Final = timedelta(milliseconds=100)
_LONGEST_DELAY: Final = timedelta(seconds=15)
_DOUBLINGS: Final = 10

_BY_PREFIX: Final = {event.subject_prefix(): event for event in EVENTS.values()}
_PREFIX_TOKENS: Final = 4


class Handler(Protocol):
    """One event into one use case. Idempotent: called again when an ack was lost."""

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None: ...


class Letters(Protocol):
    """Where strikes are counted and messages end; see ``libs.chassis.deadletters``."""

    async def bury(self, letter: DeadLetter) -> None: ...
    async def strike(self, consumer: str, message_id: str) -> int: ...
    async def pardon(self, consumer: str, message_id: str) -> None: ...
    async def forget(self, consumer: str, message_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message as the server handed it over. ``attempt`` counts from 1."""

    id: str
    subject: str
    body: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """Acknowledge."""


@dataclass(frozen=True, slots=True)
class Again:
    """Deliver once more, not before ``delay`` has passed."""

    delay: timedelta
    code: str


@dataclass(frozen=True, slots=True)
class Buried:
    """Terminate: a dead letter is committed."""

    code: str
    reason: str


Outcome = Done | Again | Buried


class MalformedError(Exception):
    """Bytes that no attempt will ever make an envelope of."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def backoff(
    attempt: int,
    *,
    chance: Callable[[], float] = random.random,  # noqa: S311 -- jitter keeps no secret
) -> timedelta:
    """Doubles from 0.1 s to 15 s; up to half of it is left to chance."""
    doubled: int = 2 ** min(attempt - 1, _DOUBLINGS)
    return min(_FIRST_DELAY * doubled, _LONGEST_DELAY) * (1 - chance() / 2)


def open_envelope(subject: str, body: bytes) -> Envelope[Any]:
    """The envelope in ``body``, of the event that ``subject`` names. Raises ``MalformedError``."""
    event = _BY_PREFIX.get(".".join(subject.split(".")[:_PREFIX_TOKENS]))
    if event is None:
        raise MalformedError("unknown-event", f"no event of this version is published on {subject}")
    try:
        envelope = decode(body, event)
    except (ValidationError, RecursionError) as error:
        raise MalformedError("malformed-event", str(error)) from error
    if envelope.subject != subject or envelope.type != event.event_type():
        raise MalformedError(
            "misdirected-event", f"{envelope.type} for {envelope.subject} came on {subject}"
        )
    return envelope


class Delivery:
    """The policy for one consumer; knows nothing of the wire."""

    def __init__(
        self,
        spec: ConsumerSpec,
        handler: Handler,
        letters: Letters,
        *,
        limit: timedelta = HANDLER_LIMIT,
    ) -> None:
        self._spec = spec
        self._handler = handler
        self._letters = letters
        self._limit = limit

    async def deliver(self, message: Delivered) -> Outcome:
        """Handle once and say what is to become of the message. Raises only cancellation."""
        began = time.monotonic()
        opened = _opened(message)
        with structlog.contextvars.bound_contextvars(
            consumer=self._spec.durable, attempt=message.attempt, **_named(message, opened)
        ):
            try:
                outcome = await self._outcome(message, opened)
            except ServiceError as error:
                outcome = _later(error, message.attempt)
            except Exception:
                log.exception("message.policy_failed")
                outcome = Again(backoff(message.attempt), "policy-failed")
            seconds = time.monotonic() - began
            _tell(outcome, seconds=seconds)
        metrics.MESSAGES.labels(self._spec.durable, type(outcome).__name__.lower()).inc()
        metrics.MESSAGE_SECONDS.labels(self._spec.durable).observe(seconds)
        return outcome

    async def _outcome(self, message: Delivered, opened: Envelope[Any] | MalformedError) -> Outcome:
        """A redelivery counts as a strike before it is tried, in case it kills the process."""
        if isinstance(opened, MalformedError):
            return await self._bury(message, opened.code, opened.reason)
        strikes = 0
        if message.attempt > 1:
            strikes = await self._letters.strike(self._spec.durable, message.id)
        if strikes > MAX_STRIKES:
            why = f"{MAX_STRIKES} attempts did not end"
            return await self._bury(message, "attempts-exhausted", why, event_id=opened.id)
        outcome = await self._handled(message, opened, strikes=strikes)
        if strikes and isinstance(outcome, Done):
            await self._letters.forget(self._spec.durable, message.id)
        return outcome

    async def _handled(
        self, message: Delivered, envelope: Envelope[Any], *, strikes: int
    ) -> Outcome:
        if message.attempt == 1:
            lag = datetime.now(UTC) - envelope.time
            metrics.LAG_SECONDS.labels(self._spec.durable).observe(max(lag.total_seconds(), 0))
        try:
            await self._handle(envelope, message.body)
        except ServiceError as error:
            if not error.kind.transient:
                return await self._bury(message, error.code, error.detail, event_id=envelope.id)
            if strikes:
                await self._letters.pardon(self._spec.durable, message.id)
            return _later(error, message.attempt)
        except Exception as error:
            log.exception("message.crashed")
            return await self._struck(message, envelope, error, strikes=strikes)
        return Done()

    async def _handle(self, envelope: Envelope[Any], raw: bytes) -> None:
        parent = telemetry.remote_context(envelope.traceparent)
        span = f"{self._spec.durable} {envelope.type}"
        with telemetry.tracer().start_as_current_span(span, context=parent, kind=SpanKind.CONSUMER):
            cause = Cause(
                actor=f"service:{self._spec.service}",
                org_id=envelope.orgid,
                correlation_id=envelope.correlationid,
                causation_id=envelope.id,
                traceparent=telemetry.traceparent() or envelope.traceparent,
            )
            with bound(cause):
                async with asyncio.timeout(self._limit.total_seconds()):
                    await self._handler(envelope, raw)

    async def _struck(
        self, message: Delivered, envelope: Envelope[Any], error: Exception, *, strikes: int
    ) -> Outcome:
        strikes = strikes or await self._letters.strike(self._spec.durable, message.id)
        if strikes < MAX_STRIKES:
            return Again(backoff(strikes), "crashed")
        reason = f"{type(error).__name__}: {error}"
        return await self._bury(message, "attempts-exhausted", reason, event_id=envelope.id)

    async def _bury(
        self, message: Delivered, code: str, reason: str, *, event_id: UUID | None = None
    ) -> Buried:
        await self._letters.bury(
            DeadLetter(
                consumer=self._spec.durable,
                message_id=message.id,
                event_id=event_id,
                subject=message.subject,
                code=code,
                reason=reason,
                attempts=message.attempt,
                body=message.body,
            )
        )
        return Buried(code, reason)


def _later(error: ServiceError, attempt: int) -> Again:
    return Again(error.retry_after or backoff(attempt), error.code)


def _opened(message: Delivered) -> Envelope[Any] | MalformedError:
    try:
        return open_envelope(message.subject, message.body)
    except MalformedError as error:
        return error


def _named(message: Delivered, opened: Envelope[Any] | MalformedError) -> dict[str, str | float]:
    """What every log line about the message says."""
    if isinstance(opened, MalformedError):
        return {"message_id": message.id, "subject": message.subject}
    return {
        "event_id": str(opened.id),
        "type": opened.type,
        "org_id": str(opened.orgid),
        "entity_id": str(opened.entityid),
        "correlation_id": opened.correlationid,
        "lag_ms": round((datetime.now(UTC) - opened.time).total_seconds() * 1000, 1),
    }


def _tell(outcome: Outcome, *, seconds: float) -> None:
    """The one canonical line of a delivery."""
    facts: dict[str, Any] = {"ms": round(seconds * 1000, 2)}
    match outcome:
        case Done():
            log.info("message.handled", outcome="done", **facts)
        case Again(delay, code):
            again = round(delay.total_seconds(), 3)
            log.warning("message.handled", outcome="again", code=code, delay=again, **facts)
        case Buried(code, reason):
            log.error("message.handled", outcome="buried", code=code, reason=reason[:512], **facts)
