"""What ``/metrics`` says of messages: handled, waiting, given up."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from libs.chassis import metrics
from libs.chassis.backlog import watch_backlog
from libs.chassis.bus import Bus, Subscription
from libs.chassis.deadletters import DeadLetter, DeadLetters
from libs.chassis.postgres import Database, Pool
from libs.contracts.event import Envelope
from tests.support.facts import Tx, consumer, message, say
from tests.support.handlers import SPEC, BusyError, UnfitError, publish
from tests.support.loops import eventually, running
from tests.support.relays import relay_of

SOON = timedelta(milliseconds=20)
NAMES = ("done", "again", "buried")


def exposed(name: str, **labels: str) -> float:
    """A sample as a scraper reads it; 0 where there is none."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = (each for family in families for each in family.samples)
    return sum(each.value for each in samples if (each.name, each.labels) == (name, labels))


def is_exposed(value: float, name: str, **labels: str) -> Callable[[], bool]:
    return lambda: exposed(name, **labels) == value


async def test_messages_are_counted_by_consumer_and_outcome(
    builder: Bus, deployer: Bus, pool: Pool
) -> None:
    busy = [BusyError("later")]

    async def handle(envelope: Envelope[Any], raw: bytes) -> None:
        del raw
        match envelope.data.reason:
            case "busy" if busy:
                raise busy.pop()
            case "unfit":
                raise UnfitError("never")

    def counted() -> dict[str, float]:
        name, of = "yokocho_messages_total", SPEC.durable
        return {each: exposed(name, consumer=of, outcome=each) for each in NAMES}

    def handled() -> float:
        return exposed("yokocho_message_seconds_count", consumer=SPEC.durable)

    before, before_handled = counted(), handled()
    subscription = Subscription(deployer, consumer(), handle, DeadLetters(pool))

    async with running(subscription.run):
        await publish(
            builder, *(message(entity=n, reason=r) for n, r in enumerate(("", "", "busy", "unfit")))
        )
        await eventually(lambda: handled() == before_handled + 5)

    grown = {each: count - before[each] for each, count in counted().items()}
    assert grown == {"done": 3, "again": 1, "buried": 1}


async def test_facts_that_wait_for_the_bus_are_seen_with_their_age(
    builder: Bus, pool: Pool, database: Database[Tx]
) -> None:
    await say(database, 3)
    await pool.execute(
        "UPDATE outbox SET created_at = now() - interval '90 s' WHERE entity_seq = 1"
    )
    published = exposed("yokocho_events_published_total")

    async with running(partial(watch_backlog, pool, every=SOON)):
        await eventually(lambda: exposed("yokocho_outbox_oldest_seconds") >= 90)
        assert exposed("yokocho_outbox_oldest_seconds") < 120
        assert exposed("yokocho_outbox_unpublished") == 3

        await relay_of(pool, builder).flush()

        await eventually(is_exposed(0, "yokocho_outbox_unpublished"))
        assert exposed("yokocho_outbox_oldest_seconds") == 0
    assert exposed("yokocho_events_published_total") == published + 3


async def test_dead_letters_are_seen_until_they_are_resolved(pool: Pool) -> None:
    letter = partial(DeadLetter, event_id=None, subject="s", code="c", reason="r", attempts=1)
    for consumer_name, message_id in (("a-v1", "1"), ("a-v1", "2"), ("b-v1", "1")):
        await DeadLetters(pool).bury(letter(consumer_name, message_id, body=b""))

    async with running(partial(watch_backlog, pool, every=SOON)):
        await eventually(is_exposed(2, "yokocho_dead_letters", consumer="a-v1"))
        assert exposed("yokocho_dead_letters", consumer="b-v1") == 1

        await pool.execute("UPDATE dead_letter SET resolved_at = now()")

        await eventually(is_exposed(0, "yokocho_dead_letters", consumer="a-v1"))
