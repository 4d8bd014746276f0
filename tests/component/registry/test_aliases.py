"""Aliases move with compare-and-set, and remember."""

import asyncio
from typing import Any

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.registry import BENTOS, archive, create, send

ALIASES = "/api/registry/bentos/iris/aliases"
INTERNAL = {"X-Test-Issuer": "deployer"}


@pytest.fixture
async def versions(session: aiohttp.ClientSession) -> None:
    for version in ("v1", "v2", "v3"):
        await create(session, version)
        await send(session, "PUT", f"{BENTOS}/{version}/upload", archive(version))


async def move(
    session: aiohttp.ClientSession, to: str, expected: str | None, alias: str = "production"
) -> tuple[int, Any]:
    body = {"version": to, "expected": expected}
    return await send(session, "PUT", f"{ALIASES}/{alias}", body)


@pytest.mark.usefixtures("versions")
async def test_an_alias_moves_from_where_it_is_thought_to_be(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    assert (await move(session, "v1", None))[0] == 200
    assert (await move(session, "v2", "v1"))[1]["version"] == "v2"

    status, problem = await move(session, "v3", "v1")

    assert (status, problem["current"]) == (409, "v2")
    assert (await move(session, "v2", "v1"))[0] == 200, "it is there already"
    said = [row["type"] for row in await pool.fetch("SELECT type FROM outbox ORDER BY id")]
    assert said.count("dev.yokocho.alias.moved.v1") == 2


@pytest.mark.usefixtures("versions")
async def test_of_many_that_race_one_wins(session: aiohttp.ClientSession) -> None:
    await move(session, "v1", None)

    answers = await asyncio.gather(*(move(session, to, "v1") for to in ("v2", "v3") * 5))

    winners = {answer["version"] for status, answer in answers if status == 200}
    assert len(winners) == 1
    assert {status for status, _ in answers} == {200, 409}


@pytest.mark.usefixtures("versions")
async def test_who_moved_what_when_is_remembered_also_of_a_removed_one(
    session: aiohttp.ClientSession,
) -> None:
    await move(session, "v1", None)
    await move(session, "v2", "v1")
    assert (await send(session, "DELETE", f"{ALIASES}/production?expected=v1"))[0] == 409
    assert (await send(session, "DELETE", f"{ALIASES}/production?expected=v2"))[0] == 204

    assert (await send(session, "GET", f"{ALIASES}/production"))[0] == 404
    _, history = await send(session, "GET", f"{ALIASES}/production/history")
    assert [(each["before"], each["after"]) for each in history["items"]] == [
        ("v2", None),
        ("v1", "v2"),
        (None, "v1"),
    ]
    assert {each["actor"] for each in history["items"]} == {"user:1"}
    _, newest = await send(session, "GET", f"{ALIASES}/production/history?count=2")
    older = f"{ALIASES}/production/history?cursor={newest['next']}"
    assert (await send(session, "GET", older))[1] == {"items": history["items"][2:], "next": None}


@pytest.mark.usefixtures("versions")
async def test_an_alias_is_resolved_where_a_version_is(session: aiohttp.ClientSession) -> None:
    await move(session, "v2", None)

    async with session.get("/internal/bentos/iris/@production", headers=INTERNAL) as answer:
        assert (await answer.json())["version"] == "v2"
    assert (await send(session, "GET", f"{BENTOS}/@production"))[1]["version"] == "v2"
    assert (await send(session, "GET", f"{BENTOS}/@nobody"))[0] == 404


@pytest.mark.usefixtures("versions")
async def test_protection_is_shown_and_another_organisation_sees_nothing(
    session: aiohttp.ClientSession,
) -> None:
    await move(session, "v1", None)
    _, alias = await send(session, "PATCH", f"{ALIASES}/production", {"protected": True})
    assert alias["protected"]

    assert (await move(session, "v2", "v1"))[1]["protected"], "a move keeps it"
    async with session.get(ALIASES, headers={"X-Test-Org": "2"}) as answer:
        assert answer.status == 404
    assert (await send(session, "PUT", f"{ALIASES}/No!", {"version": "v1", "expected": None}))[
        0
    ] == 404
