"""A bento's models and a model's bentos."""

from typing import Any

import aiohttp

from tests.support.registry import BENTOS, create, create_model, send


def tags(answer: dict[str, Any]) -> list[str]:
    return sorted(f"{each['repository']['name']}:{each['version']}" for each in answer["items"])


async def test_both_directions_follow_the_manifest(session: aiohttp.ClientSession) -> None:
    model = await create_model(session, "m1")
    await create_model(session, "m2")
    await create(session, "b1", models=["iris:m1", "iris:m2", "absent:m9"])
    await create(session, "b2", models=["iris:m1"])

    assert tags((await send(session, "GET", f"{BENTOS}/b1/models"))[1]) == ["iris:m1", "iris:m2"]
    assert tags((await send(session, "GET", f"{model}/bentos"))[1]) == ["iris:b1", "iris:b2"]


async def test_a_revised_manifest_moves_the_lineage(session: aiohttp.ClientSession) -> None:
    model = await create_model(session, "m1")
    await create(session, "b1", models=["iris:m1"])
    manifest = {"service": "s:S", "size_bytes": 1, "models": []}

    await send(session, "PATCH", f"{BENTOS}/b1", {"manifest": manifest})

    assert tags((await send(session, "GET", f"{model}/bentos"))[1]) == []
    assert tags((await send(session, "GET", f"{BENTOS}/b1/models"))[1]) == []


async def test_another_organisation_has_no_part_in_it(session: aiohttp.ClientSession) -> None:
    model = await create_model(session, "m1")
    await create(session, "b1", models=["iris:m1"])

    async with session.get(f"{model}/bentos", headers={"X-Test-Org": "2"}) as answer:
        assert answer.status == 404
