"""Append a fact in the transaction that makes it true."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis import context, telemetry
from libs.chassis.errors import Kind, ServiceError
from libs.chassis.postgres import Connection
from libs.contracts.event import MAX_BYTES, AnyEvent, Envelope

_APPEND: Final = """
INSERT INTO outbox (id, org_id, entity_id, entity_seq, subject, type, body)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class EventTooLargeError(ServiceError):
    kind: ClassVar[Kind] = Kind.TOO_LARGE
    code: ClassVar[str] = "event-too-large"
    title: ClassVar[str] = "What happened does not fit into an event"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(f"{name} takes {size} bytes; at most {MAX_BYTES} fit", size=size)


class Outbox:
    """One transaction's events. ``epoch`` is raised by a restore of the database."""

    def __init__(
        self,
        connection: Connection,
        *,
        service: str,
        epoch: int = 1,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._service = service
        self._epoch = epoch
        self._clock = clock

    async def append(
        self,
        event: AnyEvent,
        *,
        entity_seq: int,
        org_id: UUID | None = None,
        traceparent: str | None = None,
    ) -> Envelope[AnyEvent]:
        """Store the exact bytes that will be published.

        Call it after the update of the entity's row, whose lock gives events of one entity
        their order; ``entity_seq`` is that row's new version. Actor, organisation, correlation
        and trace come from the bound ``Cause``.
        """
        envelope = self._wrapped(event, entity_seq, org_id=org_id, traceparent=traceparent)
        body = envelope.model_dump_json().encode()
        if len(body) > MAX_BYTES:
            raise EventTooLargeError(event.name, len(body))
        await self._connection.execute(
            _APPEND,
            envelope.id,
            envelope.orgid,
            envelope.entityid,
            entity_seq,
            envelope.subject,
            envelope.type,
            body,
        )
        return envelope

    def _wrapped(
        self,
        event: AnyEvent,
        entity_seq: int,
        *,
        org_id: UUID | None,
        traceparent: str | None,
    ) -> Envelope[AnyEvent]:
        cause = context.current()
        org = org_id or cause.org_id
        kind = type(event)
        envelope: Envelope[AnyEvent] = Envelope[kind](  # type: ignore[valid-type]  # parametrised at run time
            id=uuid7(),
            source=f"/yokocho/{self._service}",
            type=event.event_type(),
            subject=f"{event.subject_prefix()}.{org}.{event.entity_id}",
            time=self._clock(),
            orgid=org,
            actor=cause.actor,
            entityid=event.entity_id,
            entityseq=entity_seq,
            epoch=self._epoch,
            correlationid=cause.correlation_id,
            causationid=cause.causation_id,
            traceparent=traceparent or telemetry.traceparent() or cause.traceparent,
            data=event,
        )
        return envelope
