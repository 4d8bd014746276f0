"""A bus in memory that keeps what was published: for services whose outbox is under test."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from libs.chassis.bus import FencedError, Message, StreamState


class RecordingBus:
    """Behaves as the real publisher does: fenced by sequence, idempotent by id."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self._created = datetime(2026, 1, 1, tzinfo=UTC)

    async def ensure_stream(self, service: str) -> StreamState:
        return await self.state(service)

    async def state(self, stream: str) -> StreamState:
        del stream
        return StreamState(self._created, min(1, len(self.sent)), len(self.sent))

    async def acknowledged(self, stream: str, consumer: str) -> int:
        """Nobody listens."""
        del stream, consumer
        return 0

    async def publish_batch(
        self, messages: Sequence[Message], *, stream: str, expected_last: int | None = None
    ) -> list[int]:
        known = {each.id: seq for seq, each in enumerate(self.sent, 1)}
        fresh = [each for each in messages if each.id not in known]
        if fresh and expected_last not in {None, len(self.sent)}:
            raise FencedError(stream, status=400, err_code=10071, description="wrong last sequence")
        for each in fresh:
            self.sent.append(each)
            known[each.id] = len(self.sent)
        return [known[each.id] for each in messages]

    async def stored_ids(
        self, stream: str, *, after: int, upto: int
    ) -> AsyncIterator[tuple[int, str]]:
        del stream
        for seq in range(after + 1, upto + 1):
            yield seq, self.sent[seq - 1].id
