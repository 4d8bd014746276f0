"""Uploads that break, are forgotten or find no room: made again, never half there."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from libs.chassis.errors import Kind
from services.builder.errors import RegistryFullError, RegistryUnreachableError
from services.builder.oci import BasicAccess, Patience, Remote
from tests.adapters.builder.oci.conftest import ABSENT, SIZE, at, pieces
from tests.support.oci_faults import (
    BadRegistry,
    early,
    good,
    lost,
    silent,
    status,
)


@pytest.fixture
def remote(bad: BadRegistry, session: aiohttp.ClientSession) -> Remote:
    return at(session, bad.url, BasicAccess("ada", "s3cret"))


@pytest.mark.parametrize(
    ("faults", "made"),
    [
        pytest.param([status(500), status(503)], 1, id="begin"),
        pytest.param([good, status(500), good, good, good, status(502)], 3, id="patch"),
        pytest.param([good, lost], 2, id="lost patch"),
        pytest.param([good, status(404)], 2, id="forgotten upload"),
        pytest.param([good, good, status(500)], 2, id="finish"),
    ],
)
async def test_an_upload_is_made_again(
    bad: BadRegistry, remote: Remote, faults: list[object], made: int
) -> None:
    bad.faults = faults  # type: ignore[assignment]  # lists vary
    times = 0

    def make() -> AsyncIterator[bytes]:
        nonlocal times
        times += 1
        return pieces()

    pushed = await remote.push("team/iris", make)

    assert (pushed.size, len(bad.blobs[pushed.digest])) == (SIZE, SIZE)
    assert times == made
    assert bad.uploads == {}


async def test_who_answers_before_the_bytes_is_not_believed(
    bad: BadRegistry, remote: Remote
) -> None:
    bad.faults = [good, early]

    async def much() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(2**20)

    pushed = await remote.push("team/iris", much)

    assert len(bad.blobs[pushed.digest]) == pushed.size == 2**26
    assert bad.asked[:2] == ["POST", "PATCH"]
    assert bad.asked[-3:] == ["POST", "PATCH", "PUT"]


async def test_an_answer_that_is_lost_after_all_was_sent_costs_nothing(
    bad: BadRegistry, remote: Remote
) -> None:
    async def kept_but_lost(request: web.Request) -> web.StreamResponse:
        await bad.good(request)
        return await lost(request)

    bad.faults = [good, good, kept_but_lost]

    await remote.push("team/iris", pieces)

    assert bad.asked.count("PATCH") == 1
    assert bad.asked[-1] == "HEAD"


async def test_who_takes_no_bytes_is_given_up(
    bad: BadRegistry, session: aiohttp.ClientSession
) -> None:
    """Though what sends them could go on for ever."""
    hasty = Patience(attempts=2, pause=0.01, silence=0.2)
    remote = Remote(session, bad.url, access=BasicAccess("a", "b"), patience=hasty)
    bad.faults = [good, silent, good, good, silent]

    async def much() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(2**20)

    with pytest.raises(RegistryUnreachableError, match="takes no more"):
        await remote.push("team/iris", much)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(507, "disk"), "507 disk"),
        (status(413), "413"),
        (status(403, '{"errors":[{"code":"DENIED","message":"exceeds the quota"}]}'), "quota"),
    ],
)
async def test_a_full_registry_is_full(
    bad: BadRegistry, remote: Remote, answer: object, words: str
) -> None:
    bad.faults = [good, good, answer]  # type: ignore[list-item]  # as a fault

    with pytest.raises(RegistryFullError, match=words) as full:
        await remote.push("team/iris", pieces)

    assert full.value.kind is Kind.NO_SPACE
    assert bad.asked[-1] == "DELETE"


async def test_a_push_may_be_given_up(remote: Remote) -> None:
    """What makes the bytes is told, and the client goes on with others."""
    begun, closed = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            begun.set()
            await asyncio.sleep(60)
        finally:
            closed.set()

    async with asyncio.TaskGroup() as group:
        pushing = group.create_task(remote.push("team/iris", slow))
        await begun.wait()
        pushing.cancel()
        await asyncio.wait([pushing])
        assert pushing.cancelled()
        await closed.wait()

    assert (await remote.push("team/iris", pieces)).size == SIZE


async def test_small_bytes_are_sent_again_as_well(bad: BadRegistry, remote: Remote) -> None:
    bad.faults = [good, good, status(500), good, good, lost]

    pushed = await remote.push_bytes("team/iris", b"{}")

    assert bad.blobs[pushed.digest] == b"{}"


async def test_a_mount_that_became_an_upload_is_cancelled(bad: BadRegistry, remote: Remote) -> None:
    assert not await remote.mount("team/iris", ABSENT, source="team/other")

    assert bad.asked == ["POST", "DELETE"]
    assert bad.uploads == {}
