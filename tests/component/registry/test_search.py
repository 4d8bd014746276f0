"""Versions are found by what they say of themselves."""

import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from yarl import URL

from libs.chassis.postgres import Database, Pool
from services.registry.domain import Kind
from services.registry.http.search import SearchApi
from services.registry.service import Search
from services.registry.wiring import bind
from tests.support.serving import CALLER, served, stall

MODELS = {
    "a": {"accuracy": 0.95, "framework": "sklearn", "ok": True},
    "b": {"accuracy": 0.85, "framework": "xgboost"},
    "c": {"accuracy": 0.99, "framework": "sklearn", "f": {"g": "deep"}},
    "d": {},
}


LABELS = {"stage": "prod", "build": "20261120103000"}


@pytest.fixture
async def base(pool: Pool) -> Any:
    """Four models, of which c is labelled and d says nothing; described as older code left them."""
    for number, (version, metadata) in enumerate(MODELS.items()):
        await pool.execute(
            """
            WITH made AS (
                INSERT INTO repository (id, org_id, kind, name, description, created_at)
                VALUES (gen_random_uuid(), $1, 'model', 'iris', '', now())
                ON CONFLICT ON CONSTRAINT repository_name_key DO UPDATE SET name = 'iris'
                RETURNING id
            )
            INSERT INTO version (id, org_id, repository_id, version, description, manifest, labels,
                                 build_at, created_at, updated_at, upload_status)
            SELECT gen_random_uuid(), $1, id, $2, '', $3, $4, now(), now() - $5::interval, now(),
                   'success' FROM made
            """,
            CALLER.org_id,
            version,
            json.dumps({"metadata": metadata}),
            json.dumps(LABELS if version == "c" else {}),
            timedelta(minutes=number),
        )
    search = Search(Database(pool, bind))
    assert await search.describe_missing() == 4
    assert await search.describe_missing() == 0
    async with served(stall(SearchApi(search, Kind.MODEL).routes())) as url:
        yield url


async def ask(base: str, query: str, **more: str) -> tuple[int, dict[str, Any]]:
    url = URL(f"{base}/api/registry/models").with_query(query=query, **more)
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("", "abcd"),
        ("accuracy > 0.9", "ac"),
        ("accuracy > 0.9 sort by accuracy desc", "ca"),
        ('accuracy > 0.8 and not label.stage = "prod" sort by accuracy', "ba"),
        ("not accuracy > 0.9", "bd"),
        ("framework != sklearn", "bd"),
        ("framework in (sklearn, xgboost) sort by framework", "acb"),
        ("framework ~ boost", "b"),
        ("ok = true", "a"),
        ("f.g = deep or not accuracy exists", "cd"),
        ("label.stage exists", "c"),
        ("name = iris and version = d", "d"),
        ("size = 0 and created > 2020-01-01", "abcd"),
        ("accuracy = sklearn", ""),
        ("label.build = 20261120103000", "c"),
        ('x = "\'; DROP TABLE version; --"', ""),
    ],
)
async def test_what_fits_is_found_in_order(base: str, query: str, versions: str) -> None:
    status, answer = await ask(base, query)

    assert status == 200, answer
    found = [each["version"] for each in answer["items"]]
    assert (sorted(found) if "sort" not in query else found) == list(versions)


async def test_a_page_says_whether_there_is_more(base: str) -> None:
    first = (await ask(base, "", count="3"))[1]
    second = (await ask(base, "", count="3", cursor=first["next"]))[1]

    assert [each["version"] for each in first["items"]] == ["a", "b", "c"]
    assert second["next"] is None
    assert second["items"][0]["metadata"] == {}


@pytest.mark.parametrize("way", ["", " desc"])
@pytest.mark.parametrize(
    "field", ["accuracy", "framework", "label.stage", "name", "version", "created", "size"]
)
async def test_pages_of_any_order_have_everything_once(base: str, field: str, way: str) -> None:
    query = f"sort by {field}{way}"
    whole = [each["version"] for each in (await ask(base, query))[1]["items"]]

    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        status, page = await ask(base, query, count="1", cursor=cursor)
        assert status == 200, page
        paged += [each["version"] for each in page["items"]]
        cursor = page["next"]

    assert sorted(whole) == list("abcd")
    assert paged == whole


async def test_a_cursor_is_of_one_query(base: str) -> None:
    cursor = (await ask(base, "sort by accuracy", count="1"))[1]["next"]

    for query, given in (("sort by version", cursor), ("", "x"), ("", "AAAA"), ("", "Ww\0")):
        status, problem = await ask(base, query, cursor=given)
        assert (status, problem["type"]) in {
            (422, "/problems/cursor-invalid"),
            (422, "/problems/parameter-invalid"),
        }, given


async def test_a_query_that_cannot_be_read_says_where(base: str) -> None:
    for query, at in (("accuracy >", 10), ("size = many", 0), ("created > soon", 0)):
        status, problem = await ask(base, query)
        assert (status, problem["at"]) == (422, at)
    assert (await ask(base, "", count="501"))[0] == 422


async def test_another_organisation_finds_nothing(base: str, pool: Pool) -> None:
    await pool.execute("UPDATE version SET org_id = gen_random_uuid()")

    assert (await ask(base, ""))[1]["items"] == []
