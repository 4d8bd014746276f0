"""Publishing to a real server, and to the bus that stands in for it."""

import asyncio
import os
from datetime import timedelta

import pytest

from libs.chassis.bus import (
    Bus,
    BusRefusedError,
    BusUnavailableError,
    FencedError,
    Publisher,
    connect,
    publishing,
    streams,
)
from tests.support.bus import RecordingBus
from tests.support.facts import SOURCE, STREAM, message, stored
from tests.support.loops import eventually
from tests.support.nats import NatsServer


@pytest.fixture(params=["server", "recording"])
def publisher(request: pytest.FixtureRequest) -> Publisher:
    if request.param == "recording":
        return RecordingBus()
    opened: Publisher = request.getfixturevalue("builder")
    return opened


async def test_a_batch_is_stored_in_order(publisher: Publisher) -> None:
    batch = [message(entity=n) for n in range(1, 6)]

    sequences = await publisher.publish_batch(batch, stream=STREAM, expected_last=0)

    assert sequences == [1, 2, 3, 4, 5]
    found = [pair async for pair in publisher.stored_ids(STREAM, after=1, upto=5)]
    assert found == [(seq, each.id) for seq, each in enumerate(batch, 1)][1:]


async def test_a_publisher_that_is_behind_stores_nothing(publisher: Publisher) -> None:
    await publisher.publish_batch([message(), message()], stream=STREAM, expected_last=0)

    for late in ([message()], [message(), message()]):
        with pytest.raises(FencedError):
            await publisher.publish_batch(late, stream=STREAM, expected_last=1)

    assert (await publisher.state(STREAM)).last_seq == 2


async def test_a_batch_that_repeats_a_message_stores_the_others(publisher: Publisher) -> None:
    first, second, third = message(), message(), message()
    await publisher.publish_batch([second], stream=STREAM)

    sequences = await publisher.publish_batch([first, second, third], stream=STREAM)

    assert sequences == [2, 1, 3]
    assert (await publisher.state(STREAM)).last_seq == 3


async def test_a_repeated_batch_goes_singly_under_its_fence(publisher: Publisher) -> None:
    known = [message(), message()]
    await publisher.publish_batch(known, stream=STREAM)

    sequences = await publisher.publish_batch([*known, message()], stream=STREAM, expected_last=2)

    assert sequences == [1, 2, 3]


async def test_an_unanswered_publish_is_unknown_and_harmless_to_repeat(
    builder: Bus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_PUBLISH_WAIT", timedelta(milliseconds=300))
    batch = [message(), message(), message()]
    nats_server.pause()
    with pytest.raises(BusUnavailableError):
        await builder.publish_batch(batch, stream=STREAM)
    nats_server.resume()

    monkeypatch.undo()
    await eventually(lambda: _reaches(builder, 3))
    await builder.publish_batch(batch, stream=STREAM)

    assert await stored(builder) == [each.id for each in batch]


async def _reaches(builder: Bus, seq: int) -> bool:
    return (await builder.state(STREAM)).last_seq == seq


async def test_nothing_is_buffered_for_a_server_that_is_away(
    builder: Bus, nats_server: NatsServer
) -> None:
    nats_server.kill()
    await eventually(lambda: not builder.connected)

    with pytest.raises(BusUnavailableError):
        await builder.publish_batch([message()], stream=STREAM)

    nats_server.start()
    await eventually(lambda: builder.connected)
    assert (await builder.state(STREAM)).last_seq == 0


async def test_headers_of_the_caller_stay_as_they_are(builder: Bus) -> None:
    headers = {"Nats-Msg-Id": "x"}
    sent = message()

    await builder.request(sent.subject, sent.body, headers=headers)

    assert headers == {"Nats-Msg-Id": "x"}


async def test_acknowledged_messages_survive_a_killed_server(
    builder: Bus, nats_server: NatsServer
) -> None:
    batch = [message() for _ in range(50)]
    await builder.publish_batch(batch, stream=STREAM)

    nats_server.kill()
    await eventually(lambda: not builder.connected)
    nats_server.start()
    await eventually(lambda: builder.connected)

    assert await stored(builder) == [each.id for each in batch]


async def test_whoever_waits_when_the_connection_breaks_is_told_at_once(
    builder: Bus, nats_server: NatsServer
) -> None:
    nats_server.pause()
    waiting = asyncio.create_task(builder.publish_batch([message()], stream=STREAM))
    await asyncio.sleep(0.1)

    nats_server.kill()

    async with asyncio.timeout(2):
        with pytest.raises(BusUnavailableError):
            await waiting


async def test_an_envelope_of_the_largest_size_fits(builder: Bus) -> None:
    sent = message()
    whole = publishing.Message(sent.id, sent.subject, sent.body.ljust(256 * 1024))

    assert await builder.publish_batch([whole], stream=STREAM) == [1]
    larger = publishing.Message("other", sent.subject, b"x" * (261 * 1024))
    with pytest.raises(BusRefusedError):
        await builder.publish_batch([larger], stream=STREAM)


async def test_a_stream_is_what_the_code_says(builder: Bus) -> None:
    found = (await builder.api(f"STREAM.INFO.{STREAM}"))["config"]

    wanted = streams.config(SOURCE)
    assert {key: found.get(key) for key in wanted} == wanted


async def test_a_stream_of_other_settings_is_changed(
    builder: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "DUPLICATE_WINDOW", timedelta(minutes=5))

    await builder.ensure_stream(SOURCE)

    found = (await builder.api(f"STREAM.INFO.{STREAM}"))["config"]
    assert found["duplicate_window"] == streams.nanoseconds(timedelta(minutes=5))


async def test_a_full_stream_lets_its_oldest_facts_go(nats_server: NatsServer) -> None:
    url, most = nats_server.url(SOURCE), 2**20
    async with await connect(url, SOURCE, stream_bytes=most) as small:
        await small.ensure_stream(SOURCE)
        for n in range(1, 9):
            noise = os.urandom(100_000).hex()  # which cannot be compressed to nothing
            sent = message(entity=n)
            whole = publishing.Message(sent.id, sent.subject, sent.body + noise.encode())
            assert await small.publish_batch([whole], stream=STREAM) == [n]

        state = (await small.api(f"STREAM.INFO.{STREAM}"))["state"]

    assert state["last_seq"] == 8
    assert 1 < state["first_seq"] < 8
    assert state["bytes"] <= most


async def test_a_stream_that_cannot_be_as_the_code_says_is_refused(
    builder: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(streams, "config", _in_memory)
        with pytest.raises(BusRefusedError):
            await builder.ensure_stream(SOURCE)


_config = streams.config


def _in_memory(service: str, *, max_bytes: int) -> dict[str, object]:
    return _config(service, max_bytes=max_bytes) | {"storage": "memory"}


async def test_round_trips_of_many_tasks_do_not_mix(builder: Bus) -> None:
    async with asyncio.TaskGroup() as group:
        sent = [message(entity=n) for n in range(1, 101)]
        tasks = [group.create_task(builder.publish_batch([each], stream=STREAM)) for each in sent]

    by_seq = {task.result()[0]: each.id for task, each in zip(tasks, sent, strict=True)}
    assert await stored(builder) == [by_seq[seq] for seq in range(1, 101)]
