"""What is to become of a message: the policy without a server."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import structlog
from typing_extensions import override

from libs.chassis.bus import Delivery, Handler, backoff
from libs.chassis.bus.delivery import Again, Buried, Delivered, Done, open_envelope
from libs.chassis.bus.delivery import MalformedError as Malformed
from libs.chassis.deadletters import DeadLetter
from libs.chassis.errors import Kind, ServiceError
from libs.contracts.event import Envelope
from tests.support.facts import consumer, message


class Refusal(ServiceError):  # noqa: N818 -- its kind is a parameter here
    code: ClassVar[str] = "refusal"
    title: ClassVar[str] = "Refusal"

    def __init__(self, kind: Kind, *, retry_after: timedelta | None = None) -> None:
        super().__init__("because", retry_after=retry_after)
        self.kind = kind  # type: ignore[misc]  # a class variable in life


class Letters:
    """Dead letters in memory."""

    def __init__(self) -> None:
        self.buried: list[DeadLetter] = []
        self.strikes: Counter[str] = Counter()

    async def bury(self, letter: DeadLetter) -> None:
        self.buried.append(letter)

    async def strike(self, consumer: str, message_id: str) -> int:
        del consumer
        self.strikes[message_id] += 1
        return self.strikes[message_id]

    async def pardon(self, consumer: str, message_id: str) -> None:
        del consumer
        self.strikes[message_id] -= 1

    async def forget(self, consumer: str, message_id: str) -> None:
        del consumer
        del self.strikes[message_id]


def raising(error: BaseException | None) -> Handler:
    async def handle(envelope: Envelope[Any], raw: bytes) -> None:
        del envelope, raw
        if error is not None:
            raise error

    return handle


def delivered(attempt: int = 1) -> Delivered:
    sent = message()
    return Delivered(sent.id, sent.subject, sent.body, attempt)


def delivery(handler: Handler, letters: Letters, **options: timedelta) -> Delivery:
    return Delivery(consumer(), handler, letters, **options)


@pytest.mark.parametrize("kind", Kind)
async def test_a_refusal_is_repeated_or_buried_by_its_kind(kind: Kind) -> None:
    letters = Letters()

    outcome = await delivery(raising(Refusal(kind)), letters).deliver(delivered())

    assert isinstance(outcome, Again if kind.transient else Buried)
    assert len(letters.buried) == (0 if kind.transient else 1)


async def test_a_refusal_that_says_when_is_repeated_then() -> None:
    later = Refusal(Kind.EXHAUSTED, retry_after=timedelta(seconds=42))

    outcome = await delivery(raising(later), Letters()).deliver(delivered())

    assert outcome == Again(timedelta(seconds=42), "refusal")


async def test_transient_refusals_never_add_up() -> None:
    letters, sent = Letters(), delivered()
    busy = delivery(raising(Refusal(Kind.UNAVAILABLE)), letters)

    for attempt in range(1, 100):
        again = Delivered(sent.id, sent.subject, sent.body, attempt)
        assert isinstance(await busy.deliver(again), Again)

    assert letters.buried == []


async def test_the_eighth_crash_is_the_last() -> None:
    letters, sent = Letters(), delivered()
    crashing = delivery(raising(ZeroDivisionError("boom")), letters)

    outcomes = [
        await crashing.deliver(Delivered(sent.id, sent.subject, sent.body, attempt))
        for attempt in range(1, 9)
    ]

    assert all(isinstance(each, Again) for each in outcomes[:7])
    assert outcomes[7] == Buried("attempts-exhausted", "ZeroDivisionError: boom")


async def test_crashes_among_refusals_are_counted_alone() -> None:
    letters, sent = Letters(), delivered()
    attempt = 0
    for _ in range(7):
        for error in (Refusal(Kind.UNAVAILABLE), ZeroDivisionError()):
            attempt += 1
            again = Delivered(sent.id, sent.subject, sent.body, attempt)
            assert isinstance(await delivery(raising(error), letters).deliver(again), Again)

    again = Delivered(sent.id, sent.subject, sent.body, attempt + 1)
    assert await delivery(raising(None), letters).deliver(again) == Done()
    assert not letters.strikes


async def test_a_handler_without_end_is_a_crash() -> None:
    async def hang(envelope: Envelope[Any], raw: bytes) -> None:
        del envelope, raw
        await asyncio.Event().wait()

    letters = Letters()

    outcome = await delivery(hang, letters, limit=timedelta(milliseconds=10)).deliver(delivered())

    assert isinstance(outcome, Again)
    assert sum(letters.strikes.values()) == 1


async def test_a_cancelled_handler_is_no_outcome() -> None:
    with pytest.raises(asyncio.CancelledError):
        await delivery(raising(asyncio.CancelledError()), Letters()).deliver(delivered())


async def test_letters_that_cannot_be_written_delay_the_message() -> None:
    class Away(Letters):
        @override
        async def bury(self, letter: DeadLetter) -> None:
            del letter
            raise Refusal(Kind.UNAVAILABLE)

    outcome = await delivery(raising(Refusal(Kind.CONFLICT)), Away()).deliver(delivered())

    assert isinstance(outcome, Again)


def test_an_envelope_of_another_subject_is_refused() -> None:
    sent, other = message(entity=1), message(entity=2)

    with pytest.raises(Malformed, match="came on"):
        open_envelope(other.subject, sent.body)


@pytest.mark.parametrize(
    "subject", ["", "evt", "evt.image.failed.v2.a.b", "evt.unknown.said.v1.a.b", "$JS.ACK.x"]
)
def test_subjects_of_no_event_are_refused(subject: str) -> None:
    with pytest.raises(Malformed, match="no event"):
        open_envelope(subject, message().body)


def test_backoff_grows_to_its_limit_and_never_waits_less_than_half() -> None:
    longest = [backoff(attempt, chance=lambda: 0.0) for attempt in range(1, 200)]
    shortest = [backoff(attempt, chance=lambda: 1.0) for attempt in range(1, 200)]

    assert longest[:3] == [timedelta(milliseconds=each) for each in (100, 200, 400)]
    assert longest[-1] == timedelta(seconds=15)
    assert longest == sorted(longest)
    assert all(short == long / 2 for short, long in zip(shortest, longest, strict=True))


@pytest.mark.parametrize(
    ("error", "level", "told"),
    [
        pytest.param(None, "info", {"outcome": "done"}, id="done"),
        pytest.param(
            Refusal(Kind.EXHAUSTED, retry_after=timedelta(seconds=42)),
            "warning",
            {"outcome": "again", "code": "refusal", "delay": 42.0},
            id="again",
        ),
        pytest.param(
            Refusal(Kind.INVALID),
            "error",
            {"outcome": "buried", "code": "refusal", "reason": "because"},
            id="buried",
        ),
    ],
)
async def test_a_delivery_is_told_in_one_line(
    error: Refusal | None, level: str, told: dict[str, object]
) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        sent = delivered()
        await delivery(raising(error), Letters()).deliver(sent)

    [line] = lines
    assert line["ms"] >= 0
    assert line["lag_ms"] >= 0
    assert line["event_id"] == sent.id
    known = {"event": "message.handled", "log_level": level, "consumer": consumer().durable}
    assert line.items() >= (known | told | {"attempt": 1, "correlation_id": "a-test"}).items()
