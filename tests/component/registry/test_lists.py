"""Lists as Yatai's users ask for them, and repositories that are described."""

from urllib.parse import quote

import aiohttp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.registry import BENTOS, Served, archive, create, create_model, send

TOP = "/api/v1/bento_repositories"


async def listed(session: aiohttp.ClientSession, query: str, path: str = BENTOS) -> list[str]:
    status, seen = await send(session, "GET", f"{path}?q={quote(query)}")
    assert status == 200, seen
    assert seen["total"] == len(seen["items"])
    return [each["version"] for each in seen["items"]]


async def test_versions_by_labels_words_creators_and_what_they_are(
    session: aiohttp.ClientSession,
) -> None:
    await create(session, "v1")
    await create(session, "v2", dev=True)
    await create(session, "v3", description_="x")
    for query, found in {
        "label:team=v1": ["v1"],
        "label:team=v1,team=v2": ["v2", "v1"],
        "-label:team=v1": ["v3", "v2"],
        "label:team": ["v3", "v2", "v1"],
        "-label:team": [],
        "label:colour": [],
        "iris:v".replace(":", " "): ["v3", "v2", "v1"],
        '"iris:v2"': ["v2"],
        "-v2": ["v3", "v1"],
        "is:dev": ["v2"],
        "not:dev": ["v3", "v1"],
        "creator:@me": ["v3", "v2", "v1"],
        "creator:ada -creator:bob": ["v3", "v2", "v1"],
        "creator:bob": [],
        "sort:created_at-asc": ["v1", "v2", "v3"],
        "sort:build_at-desc": ["v3", "v2", "v1"],
        "label:team=v1 label:team=v2": [],
        "100%": [],
    }.items():
        assert await listed(session, query) == found, query


async def test_versions_by_size(session: aiohttp.ClientSession) -> None:
    for version, size in {"v1": 9_000, "v2": 90_000, "v3": 900}.items():
        await create(session, version)
        content = archive(version, payload=b"x" * size)
        assert (await send(session, "PUT", f"{BENTOS}/{version}/upload", content))[0] == 200
    await create(session, "none")
    assert await listed(session, "sort:size-desc") == ["v2", "v1", "v3", "none"]
    assert (await listed(session, "sort:size-asc"))[-1] == "none"


async def test_models_by_module(session: aiohttp.ClientSession) -> None:
    await create_model(session, "a", module="bentoml.sklearn")
    await create_model(session, "b", module="bentoml.xgboost")
    assert await listed(session, "module:bentoml.sklearn", "/api/v1/models") == ["a"]
    _, seen = await send(session, "GET", "/api/v1/current_org/model_modules")
    assert seen == ["bentoml.sklearn", "bentoml.xgboost"]


async def test_what_is_not_understood_is_said_with_its_place(
    session: aiohttp.ClientSession,
) -> None:
    await create(session, "v1")
    status, problem = await send(session, "GET", f"{BENTOS}?q=iris+colour:red")
    assert (status, problem["at"]) == (422, 5)
    assert "colour" in problem["detail"]


async def test_repositories_are_described_labelled_and_counted(
    session: aiohttp.ClientSession,
) -> None:
    body = {"name": "iris", "description": "# Iris", "labels": [{"key": "a", "value": "b"}]}
    await send(session, "POST", TOP, body)
    for version in ("v1", "v2", "v3", "v4"):
        await create(session, version)
    await send(session, "PUT", f"{BENTOS}/v1/upload", archive("v1"))
    _, seen = await send(session, "GET", f"{TOP}/iris")
    assert (seen["description"], seen["labels"]) == ("# Iris", [{"key": "a", "value": "b"}])
    assert seen["n_bentos"] == 4
    assert [each["version"] for each in seen["latest_bentos"]] == ["v4", "v3", "v2"]
    assert seen["latest_bento"]["version"] == "v4"
    assert seen["size_bytes"] == seen["stored_bytes"] == len(archive("v1"))

    status, seen = await send(session, "PATCH", f"{TOP}/iris", {"description": "new"})
    assert (status, seen["description"]) == (200, "new")
    assert seen["labels"] == [{"key": "a", "value": "b"}], "what is left out stays"
    _, seen = await send(session, "PATCH", f"{TOP}/iris", {"labels": []})
    assert (seen["description"], seen["labels"]) == ("new", [])


async def test_repositories_are_paged_and_found_by_name(session: aiohttp.ClientSession) -> None:
    for name in ("iris", "iris_two", "other"):
        await send(session, "POST", TOP, {"name": name})
    _, seen = await send(session, "GET", f"{TOP}?start=1&count=1&q=&search=")
    assert (seen["total"], [each["name"] for each in seen["items"]]) == (3, ["iris_two"])
    _, seen = await send(session, "GET", f"{TOP}?search=iris")
    assert [each["name"] for each in seen["items"]] == ["iris_two", "iris"]
    assert (await send(session, "GET", f"{TOP}?q=label:x"))[0] == 422


async def test_labels_that_there_are(session: aiohttp.ClientSession, registry: Served) -> None:
    await create(session, "v1")
    await create(session, "v2")
    _, seen = await send(session, "GET", "/api/v1/labels?resource_type=bento")
    assert seen == [{"key": "team", "values": ["v1", "v2"]}]
    _, seen = await send(session, "GET", "/api/v1/labels?resource_type=bento_repository")
    assert seen == []
    assert (await send(session, "GET", "/api/v1/labels?resource_type=x"))[0] == 422
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as stranger:
        assert (await send(stranger, "GET", "/api/v1/labels?resource_type=bento"))[1] == []


async def test_whatever_is_asked_is_answered_or_refused(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.text("ab:=,-\" \\%_'$@", max_size=40), st.sampled_from(["", "label:", "creator:"]))
    def gather(text: str, key: str) -> None:
        asked.append(f"{key}{text}")

    asked: list[str] = []
    gather()
    for query in asked:
        status, _ = await send(session, "GET", f"{BENTOS}?q={quote(query)}")
        assert status in {200, 422}, query


async def test_totals_follow_whatever_happens_to_versions(session: aiohttp.ClientSession) -> None:
    async def totals() -> list[int]:
        paths = (BENTOS, "/api/v1/bentos", f"{BENTOS}?q=label:team=v1")
        answers = [await send(session, "GET", path) for path in paths]
        return [seen["total"] for status, seen in answers if status == 200]

    async def uploaded() -> int:
        """What a client is shown."""
        headers = {"X-Bentoml-Version": "1.4.39"}
        async with session.get("/api/v1/bentos", headers=headers) as answer:
            seen = await answer.json()
        assert len(seen["items"]) == seen["total"]
        return int(seen["total"])

    native = "/api/registry/bentos/iris"
    for version in ("v1", "v2", "v3"):
        await create(session, version)
    assert (await totals(), await uploaded()) == ([3, 3, 1], 0)
    for version in ("v1", "v2"):
        await send(session, "PUT", f"{BENTOS}/{version}/upload", archive(version))
    assert await uploaded() == 2
    await send(session, "DELETE", f"{native}/versions/v1")
    assert (await totals(), await uploaded()) == ([2, 2, 0], 1)
    await create(session, "v1")
    assert await totals() == [3, 3, 1]
    await send(session, "DELETE", native)
    assert (await send(session, "GET", "/api/v1/bentos"))[1]["total"] == 0
    assert (await send(session, "POST", f"{native}/versions/v2/undelete"))[0] == 200
    assert await totals() == [1, 1, 0]
    await send(session, "POST", "/api/registry/gc", {"empty": True, "force": True})
    assert await totals() == [1, 1, 0]


async def test_operators_of_yatai_find_what_has_no_image(session: aiohttp.ClientSession) -> None:
    for version in ("v1", "v2", "v3"):
        await create(session, version)
    for version in ("v1", "v2"):
        await send(session, "PUT", f"{BENTOS}/{version}/upload", archive(version))

    async def without(org: str = "1") -> list[str]:
        path, headers = "/api/v1/image_build_status_unsynced_bentos", {"X-Test-Org": org}
        async with session.get(path, headers=headers) as answer:
            assert answer.status == 200
            return [
                f"{each['repository']['name']}:{each['version']}" for each in await answer.json()
            ]

    assert await without() == ["iris:v1", "iris:v2"]
    assert await without(org="2") == []
    status, seen = await send(session, "PATCH", f"{BENTOS}/v1/update_image_build_status_syncing_at")
    assert (status, await without()) == (200, ["iris:v2"])
    path = f"{BENTOS}/v2/update_image_build_status"
    status, seen = await send(session, "PATCH", path, {"image_build_status": "success"})
    assert (status, seen["image_build_status"], await without()) == (200, "success", [])
    assert (await send(session, "PATCH", path, {"image_build_status": "great"}))[0] == 422


async def test_a_version_says_who_made_it(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")
    _, seen = await send(session, "GET", f"{BENTOS}/v1")
    assert (seen["creator"]["name"], seen["creator"]["resource_type"]) == ("ada", "user")
    assert await listed(session, "creator:ada") == await listed(session, "creator:@me") == ["v1"]
    assert await listed(session, "-creator:ada") == []
