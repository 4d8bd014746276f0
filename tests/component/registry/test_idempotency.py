"""A request that is repeated with its key takes effect once and is answered the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from tests.support.registry import archive, create, send, served

IRIS = "/api/registry/bentos/iris"
ALIAS = f"{IRIS}/aliases/live"


@pytest.fixture
async def session(pool: Pool, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        served(pool, tmp_path / "blobs") as registry,
        aiohttp.ClientSession(registry.url) as session,
    ):
        for version in ("v1", "v2"):
            await create(session, version)
            path = f"/api/v1/bento_repositories/iris/bentos/{version}/upload"
            await send(session, "PUT", path, archive(version))
        yield session


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str,
    org: str = "1",
) -> tuple[int, Any, bool]:
    headers = {"Idempotency-Key": key, "X-Test-Org": org}
    async with session.request(method, path, json=body, headers=headers) as answer:
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        raw = await answer.read()
        return answer.status, await answer.json(content_type=None) if raw else None, replayed


def moved(to: str, expected: str | None) -> dict[str, Any]:
    return {"version": to, "expected": expected}


async def moves(session: aiohttp.ClientSession) -> int:
    _, history = await send(session, "GET", f"{ALIAS}/history")
    return len(history["items"])


async def test_what_is_repeated_takes_effect_once(session: aiohttp.ClientSession) -> None:
    """The answer to a removal was lost: without a key the second try would find nothing."""
    first = await ask(session, "PUT", ALIAS, moved("v1", None), key="a")
    again = await ask(session, "PUT", ALIAS, moved("v1", None), key="a")
    assert (first[0], first[2], again) == (200, False, (*first[:2], True))

    gone = await ask(session, "DELETE", f"{ALIAS}?expected=v1", key="b")
    assert await ask(session, "DELETE", f"{ALIAS}?expected=v1", key="b") == (204, None, True)
    assert gone == (204, None, False)
    assert (await ask(session, "DELETE", f"{ALIAS}?expected=v1", key="c"))[0] == 404
    assert await moves(session) == 2


async def test_many_at_once_take_effect_once(session: aiohttp.ClientSession, pool: Pool) -> None:
    asked = [ask(session, "DELETE", f"{IRIS}/versions/v1", key="a") for _ in range(8)]
    answers = await asyncio.gather(*asked)

    assert [status for status, _, _ in answers] == [200] * 8
    assert sorted(replayed for _, _, replayed in answers) == [False, *[True] * 7]
    assert len({each["purge_at"] for _, each, _ in answers}) == 1
    events = "SELECT count(*) FROM outbox WHERE type LIKE '%bento.deleted%'"
    assert await pool.fetchval(events) == 1


async def test_a_key_is_of_one_request_of_one_caller(session: aiohttp.ClientSession) -> None:
    assert (await ask(session, "PUT", ALIAS, moved("v1", None), key="a"))[0] == 200

    for body in (moved("v2", None), moved("v2", "v1")):
        status, problem, _ = await ask(session, "PUT", ALIAS, body, key="a")
        assert (status, problem["type"]) == (422, "/problems/idempotency-key-invalid")
    assert (await ask(session, "PUT", ALIAS, moved("v1", None), key="a", org="2"))[0] == 404
    for key in ("", "a b", "x" * 256):
        status, problem, _ = await ask(session, "PUT", ALIAS, moved("v1", None), key=key)
        assert (status, problem["type"]) == (422, "/problems/idempotency-key-invalid"), key


async def test_what_was_refused_may_be_tried_again(session: aiohttp.ClientSession) -> None:
    status, problem, _ = await ask(session, "PUT", ALIAS, moved("v2", "v1"), key="a")
    assert (status, problem["type"]) == (409, "/problems/alias-elsewhere")
    await send(session, "PUT", ALIAS, moved("v1", None))

    assert (await ask(session, "PUT", ALIAS, moved("v2", "v1"), key="a"))[::2] == (200, False)
    assert (await ask(session, "PUT", ALIAS, moved("v2", "v1"), key="a"))[::2] == (200, True)


async def test_a_key_is_forgotten_after_a_day(session: aiohttp.ClientSession, pool: Pool) -> None:
    await ask(session, "PUT", ALIAS, moved("v1", None), key="old")
    await pool.execute("UPDATE idempotency SET created_at = now() - interval '25 hours'")

    await ask(session, "PUT", ALIAS, moved("v1", None), key="new")
    keys = await pool.fetch("SELECT key FROM idempotency")
    assert [each["key"] for each in keys] == ["new"]
