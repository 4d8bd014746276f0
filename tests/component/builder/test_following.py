"""Builds are listed page by page, and followed line by line until they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from services.builder.domain import Wish
from tests.support.builder import ORG, Yard
from tests.support.builder_api import answering
from tests.support.loops import running

Event = tuple[str, str | None, dict[str, Any]]


@pytest.fixture
async def builder(yard: Yard) -> AsyncIterator[str]:
    async with answering(yard) as url:
        yield url


async def asked(yard: Yard, url: str, path: str = "", **params: str) -> tuple[int, Any]:
    async with yard.session.get(f"{url}/api/builds{path}", params=params) as answer:
        return answer.status, await answer.json(content_type=None)


async def events(answer: aiohttp.ClientResponse, *, until: str = "end") -> AsyncIterator[Event]:
    """Up to and with the first that is called ``until``."""
    name, number = "", None
    async for raw in answer.content:
        field, _, value = raw.decode().rstrip("\n").partition(": ")
        match field:
            case "id":
                number = value
            case "event":
                name = value
            case "data":
                yield name, number, json.loads(value)
                if name == until:
                    return
                number = None


def lines_of(found: list[Event]) -> list[str]:
    return [line for name, _, data in found if name == "log" for line in data["lines"]]


async def followed(
    yard: Yard, url: str, build: UUID, headers: Mapping[str, str] | None = None
) -> list[Event]:
    async with (
        asyncio.timeout(30),
        yard.session.get(f"{url}/api/builds/{build}/events", headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        return [each async for each in events(answer)]


async def test_lists_come_in_pages_newest_first_and_show_what_is_sought(
    yard: Yard, builder: str
) -> None:
    await yard.push("fox:v1")
    await yard.push("hen:v1")
    foxes = [str(await yard.order("fox:v1", Wish())) for _ in range(3)]
    hen = str(await yard.order("hen:v1", Wish()))

    _, first = await asked(yard, builder, count="3")
    _, second = await asked(yard, builder, count="3", cursor=first["next"])
    _, hens = await asked(yard, builder, bento="hen:v1", status="queued", kind="oci")

    assert [each["id"] for each in first["items"]] == [hen, foxes[2], foxes[1]]
    assert [each["id"] for each in second["items"]] == [foxes[0]]
    assert second["next"] is None
    assert [each["id"] for each in hens["items"]] == [hen]
    for nothing in ({"bento": "hen:v2"}, {"status": "built"}, {"kind": "environment"}):
        _, found = await asked(yard, builder, **nothing)
        assert found["items"] == []
    for wrong in ({"status": "odd"}, {"count": "0"}, {"cursor": "x"}, {"since": "x"}):
        assert (await asked(yard, builder, **wrong))[0] == 422


async def test_a_build_is_followed_from_its_beginning_to_its_end(yard: Yard, builder: str) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    async with running(yard.worker.run):
        found = await followed(yard, builder, build)

    names = [name for name, _, _ in found]
    statuses = [data["status"] for name, _, data in found if name == "status"]
    assert statuses[-1] == "built"
    assert names[-1] == "end"
    assert found[-1][2]["image_digest"].startswith("sha256:")
    assert "\n".join(lines_of(found)) + "\n" == yard.log(build)
    steps = {data["name"]: data["seconds"] for name, _, data in found if name == "step"}
    assert set(steps) == {"resolve", "install packages", "put together"}
    assert None not in steps.values()


async def test_steps_are_seen_while_they_are_under_way(yard: Yard, builder: str) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    progress = yard.live.begin(build, yard.folders.log(build))

    async with (
        asyncio.timeout(10),
        yard.session.get(f"{builder}/api/builds/{build}/events") as answer,
    ):
        with progress.step("slow"):
            found = [each async for each in events(answer, until="log")]
    _, view = await asked(yard, builder, f"/{build}")

    slow = [data for name, _, data in found if name == "step"]
    assert [(each["name"], each["seconds"]) for each in slow] == [("slow", None)]
    assert [each["name"] for each in view["steps"]] == ["slow"]


async def test_who_lost_the_connection_resumes_behind_the_last_line(
    yard: Yard, builder: str
) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    await yard.worker.turn()
    log = yard.log(build)
    half = log.index("\n", len(log) // 2) + 1

    rest = await followed(yard, builder, build, {"Last-Event-ID": str(half)})
    nothing = await followed(yard, builder, build, {"Last-Event-ID": "999999"})

    assert "\n".join(lines_of(rest)) + "\n" == log[half:]
    assert [each for name, each, _ in rest if name == "log"] == [str(len(log))]
    assert lines_of(nothing) == []
    url = f"{builder}/api/builds/{build}/events"
    async with yard.session.get(url, headers={"Last-Event-ID": "-1"}) as answer:
        assert answer.status == 422


async def test_half_a_line_is_sent_when_it_is_whole_or_all_there_will_be(yard: Yard) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    log = yard.folders.log(build)
    log.write_bytes("whole\nhälf".encode())
    pieces = yard.shop.following.pieces(ORG, build)

    assert (await anext(pieces)).text == b"whole\n"
    assert (await anext(pieces)).text == b""
    with log.open("ab") as out:
        out.write(b" and half")
    assert (await anext(pieces)).text == b""
    await yard.worker.turn()
    assert (await anext(pieces)).text.startswith("hälf and half--- resolve\n".encode())
    await pieces.aclose()


async def test_no_character_of_a_long_line_is_torn(yard: Yard) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    line = "." + "ä" * 100_000 + "\n"
    yard.folders.log(build).write_text(line)

    pieces = yard.shop.following.pieces(ORG, build)
    found = [(await anext(pieces)).text for _ in range(4)]
    await pieces.aclose()

    assert "".join(each.decode() for each in found) == line


async def test_the_last_lines_are_all_that_is_asked_for(yard: Yard) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    yard.folders.log(build).write_text("".join(f"{each}\n" for each in range(100)))

    for last, begins in ((2, b"98\n99\n"), (0, b""), (1000, b"0\n1\n")):
        pieces = yard.shop.following.pieces(ORG, build, last=last)
        assert (await anext(pieces)).text.startswith(begins)
        await pieces.aclose()


async def test_another_organisation_follows_nothing(yard: Yard, builder: str) -> None:
    build = await yard.request(await yard.push("fox:v1"))
    for path in ("", "/log", "/events"):
        url = f"{builder}/api/builds/{build}{path}"
        async with yard.session.get(url, headers={"X-Other": "yes"}) as answer:
            assert answer.status == 404
