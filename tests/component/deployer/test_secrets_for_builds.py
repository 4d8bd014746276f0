"""Secrets of the stages build and all, as the builder is given them."""

from typing import Any
from uuid import UUID

import pytest

from tests.component.deployer.conftest import House

BASE = "/api/v1/org_secrets"
VALUE = "kept-to-ourselves"


async def keep(house: House, name: str, *, stage: str, kind: str = "env", **values: str) -> None:
    items = [{"key": key, "value": value} for key, value in values.items()]
    content = {"type": kind, "items": items, "stage": stage}
    status, made = await house.call("POST", BASE, {"name": name, "content": content})
    assert status == 200, made


async def opened(house: House, *names: str, issuer: str = "builder", **more: Any) -> Any:
    """Status, answer and ``Cache-Control``."""
    body, org = {"names": names}, more.pop("org", None)
    headers = {"X-Test-Issuer": issuer} | ({"X-Test-Org": str(org)} if org else {})
    url = f"{house.url}/internal/secrets/opened"
    async with house.session.post(url, json=body | more, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers.get("Cache-Control")


async def test_the_builder_gets_values_that_are_kept_nowhere_on_the_way(house: House) -> None:
    await keep(house, "index", stage="build", UV_INDEX_URL="http://index", TOKEN=VALUE)
    await keep(house, "hub", stage="all", TOKEN=f"{VALUE}-2")
    both = {"UV_INDEX_URL": "http://index", "TOKEN": f"{VALUE}-2"}
    assert await opened(house, "index", "hub") == (200, {"variables": both}, "no-store")
    some = {"variables": {"UV_INDEX_URL": "http://index"}}
    assert await opened(house, "index", "hub", beginnings=["UV_"]) == (200, some, "no-store")


@pytest.mark.parametrize(
    ("names", "more", "status", "code"),
    [
        (["hub", "nothing"], {}, 422, "secret-absent"),
        (["running"], {}, 422, "secret-absent"),
        (["file"], {}, 422, "secret-absent"),
        (["hub"], {"org": UUID(int=9)}, 422, "secret-absent"),
        (["hub"], {"issuer": "gateway"}, 403, "forbidden"),
        (["hub"], {"issuer": "registry"}, 403, "forbidden"),
        ([], {}, 422, "body-invalid"),
        (["hub"] * 33, {}, 422, "body-invalid"),
    ],
)
async def test_nobody_else_gets_them_and_nothing_else_is_given(
    house: House, names: list[str], more: dict[str, Any], *, status: int, code: str
) -> None:
    await keep(house, "hub", stage="build", TOKEN=VALUE)
    await keep(house, "running", stage="runtime", TOKEN=VALUE)
    await keep(house, "file", stage="all", kind="mountfile", token=VALUE)
    got, problem, _ = await opened(house, *names, **more)
    assert (got, problem["type"]) == (status, f"/problems/{code}")
    assert VALUE not in str(problem)


async def test_a_process_is_given_none_that_are_for_builds(house: House) -> None:
    await keep(house, "index", stage="build", UV_INDEX_URL="http://index")
    await keep(house, "hub", stage="all", TOKEN=VALUE)
    house.bentos.put("iris:v1")
    await house.run("iris:v1", "iris", secrets=["index", "hub"])
    [launch] = house.processes.launched.values()
    assert dict(launch.envs) == {"TOKEN": VALUE}


async def test_a_build_hears_the_names_of_those_that_it_may_be_given(house: House) -> None:
    await keep(house, "index", stage="build", UV_INDEX_URL="http://index")
    await keep(house, "running", stage="runtime", TOKEN=VALUE)
    await keep(house, "file", stage="all", kind="mountfile", token=VALUE)
    house.bentos.put("iris:v1")
    await house.run("iris:v1", "iris", secrets=["running", "index", "file"])
    assert (await house.last("requested"))["data"]["secrets"] == ["index"]


async def test_only_the_builder_can_tell_whether_an_image_was_made_of_other_values(
    house: House,
) -> None:
    await keep(house, "index", stage="build", UV_INDEX_URL="http://index")
    house.bentos.put("iris:v1")
    await house.run("iris:v1", "iris", secrets=["index"])
    await house.call("PUT", "/api/v2/deployments/iris/void_update?cluster=")
    assert (await house.last("requested"))["data"]["revision"] == 2
