"""What services say, as the bus carries it."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.bus import Message
from libs.contracts.event import AnyEvent, Envelope


def enveloped(
    event: AnyEvent, service: str, *, org: UUID, seq: int = 1, actor: str = ""
) -> Envelope[AnyEvent]:
    return Envelope(
        id=uuid7(),
        source=f"/yokocho/{service}",
        type=event.event_type(),
        subject=f"{event.subject_prefix()}.{org}.{event.entity_id}",
        time=datetime.now(UTC),
        orgid=org,
        actor=actor or f"service:{service}",
        entityid=event.entity_id,
        entityseq=seq,
        correlationid="a-test",
        data=event,
    )


def message_of(envelope: Envelope[AnyEvent]) -> Message:
    return Message(str(envelope.id), envelope.subject, envelope.model_dump_json().encode())
