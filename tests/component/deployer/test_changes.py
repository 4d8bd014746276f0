"""What changes a deployment, what does not, and what each change costs."""

from tests.component.deployer.conftest import House
from tests.support.deployer import digest_of


async def test_an_image_that_was_lost_is_asked_for_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.deploy("gateway:v1", "gw")
    house.keeper.lost.add(digest_of("aa"))

    await house.built()
    await house.settle()

    assert await house.names_said() == ["requested", "requested"]
    await house.built(digest=digest_of("bb"))
    await house.settle()
    assert house.processes.running == ["Gateway"]


async def test_changed_variables_need_no_build(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw", envs=[{"name": "KEY", "value": "old-secret"}])

    body = {"bento": "gateway:v1", "envs": [{"name": "KEY", "value": "new-secret"}]}
    await house.call("PUT", "/api/v2/deployments/gw", body)
    await house.settle()
    await house.applied()
    await house.settle()

    assert await house.names_said() == [
        "requested",
        "ready",
        "routed",
        "updated",
        "ready",
        "routed",
    ]
    change = (await house.last("updated"))["data"]
    assert list(change["after"]) == ["envs"]
    assert change["after"]["envs"]["KEY"].startswith("hmac-sha256:")
    assert "-secret" not in str(await house.said())
    assert await house.status("gw") == "running"
    launched = list(house.processes.launched.values())
    assert [each.envs for each in launched] == [(("KEY", "old-secret"),), (("KEY", "new-secret"),)]


async def test_the_same_update_again_changes_nothing(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw", labels=[{"key": "a", "value": "b"}])
    before = await house.names_said()

    status, view = await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v1"})

    assert status == 200
    assert view["labels"] == [{"key": "a", "value": "b"}], "null keeps them"
    await house.settle()
    assert await house.names_said() == before
    assert house.processes.history == ["start Gateway-0"]


async def test_void_update_rolls_the_same_out_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    await house.call("PUT", "/api/v2/deployments/gw/void_update?cluster=")
    await house.settle()
    await house.applied()
    await house.settle()

    assert house.processes.history == ["start Gateway-0", "start Gateway-0", "stop Gateway-0"]
    assert await house.status("gw") == "running"


async def test_a_pushed_bento_changes_nothing_that_runs(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.bentos.put("gateway:v1", digest=digest_of("ff"))

    await house.settle()
    assert house.processes.history == ["start Gateway-0"]

    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v1"})
    assert (await house.last("requested"))["data"]["bento_digest"] == digest_of("ff")


async def test_a_moved_port_is_routed_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    await house.pool.execute("UPDATE replica SET port = 25555")
    await house.settle()

    routed = (await house.last("routed"))["data"]
    assert routed["generation"] == 2
    assert routed["upstreams"] == [{"url": "http://127.0.0.1:25555"}]
    assert await house.status("gw") == "running"


async def test_replicas_are_all_upstreams(house: House) -> None:
    house.bentos.put("gateway:v1")
    services = {"Gateway": {"scaling": {"min_replicas": 3, "max_replicas": 3}}}

    await house.run("gateway:v1", "gw", services=services)

    assert len((await house.last("routed"))["data"]["upstreams"]) == 3
