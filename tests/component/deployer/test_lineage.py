"""Which deployments run a bento, or a model inside of one."""

from tests.component.deployer.conftest import House

V1 = "/api/v1"


async def names(house: House, path: str) -> list[str]:
    status, seen = await house.call("GET", f"{V1}/{path}/deployments")
    assert status == 200, seen
    assert seen["total"] == len(seen["items"])
    return [each["name"] for each in seen["items"]]


async def test_deployments_are_found_by_what_they_run(house: House) -> None:
    for tag in ("gateway:v1", "gateway:v2", "other:v1"):
        house.bentos.put(tag)
    await house.deploy("gateway:v1", "one")
    await house.deploy("gateway:v2", "two")
    await house.deploy("other:v1", "three")

    assert await names(house, "bento_repositories/gateway") == ["two", "one"]
    assert await names(house, "bento_repositories/gateway/bentos/v1") == ["one"]
    assert await names(house, "bento_repositories/nobodys") == []
    assert await names(house, "model_repositories/weights/models/w1") == ["three", "two", "one"]
    assert await names(house, "model_repositories/weights/models/w2") == []
