"""Every event of every stream, into the log."""

from typing import Any

from libs.contracts.event import Envelope, EnvelopeHead
from services.events.service import EventLog


class LogConsumer:
    """Records the exact bytes; redeliveries change nothing."""

    def __init__(self, log: EventLog, *, consumer: str) -> None:
        self._log = log
        self._consumer = consumer

    async def __call__(self, envelope: Envelope[Any], raw: bytes) -> None:
        head = EnvelopeHead.model_validate(envelope, from_attributes=True)
        await self._log.record(head, raw, consumer=self._consumer)
