"""A deployment's life: asked for, built, run, routed, replaced, ended."""

from tests.component.deployer.conftest import House
from tests.support.deployer import digest_of, manifest


async def test_from_request_to_running(house: House) -> None:
    house.bentos.put("gateway:v1")

    view = await house.deploy("gateway:v1", "gw")

    assert view["status"] == "image-building", "then clients show its log"
    assert await house.names_said() == ["requested"]
    await house.settle()
    assert house.processes.running == []
    await house.built()
    await house.settle()
    assert house.processes.running == ["Gateway"]
    assert await house.names_said() == ["requested", "ready", "routed"]
    assert await house.status("gw") == "deploying", "traffic has not arrived"
    await house.applied()
    assert await house.status("gw") == "running"
    assert list(house.keeper.held.values()) == [digest_of("aa")]


async def test_events_stay_in_the_trace_and_in_order(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    said = await house.said()

    assert [each["entityseq"] for each in said] == [1, 2, 3]
    assert {each["actor"] for each in said} == {"user:00000000-0000-0000-0000-00000000000b"}
    assert len({each["correlationid"] for each in said}) == 1
    traces = {each["traceparent"].split("-")[1] for each in said if each["traceparent"]}
    assert len(traces) <= 1
    assert said[0]["data"]["bento_digest"] == digest_of("v1")
    assert said[0]["data"]["models"][0]["digest"] == digest_of("ee")
    assert said[2]["data"]["upstreams"] == [{"url": "http://127.0.0.1:24001"}]


async def test_dependencies_start_first_and_end_last(house: House) -> None:
    house.bentos.put("duo:v1", manifest("Gateway>Inner", "Inner"))
    await house.run("duo:v1", "duo")

    await house.call("POST", "/api/v2/deployments/duo/terminate?cluster=")
    await house.settle()

    assert house.processes.history[:4] == [
        "start Inner-0",
        "start Gateway-0",
        "stop Gateway-0",
        "stop Inner-0",
    ]
    launch = next(
        each for each in house.processes.launched.values() if each.replica.service == "Gateway"
    )
    assert launch.needs == {"Inner": "http://127.0.0.1:24001"}


async def test_an_update_leaves_the_old_revision_until_its_traffic_has_moved(house: House) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.put("gateway:v2")
    await house.run("gateway:v1", "gw")

    await house.call("PUT", "/api/v2/deployments/gw?cluster=default", {"bento": "gateway:v2"})
    await house.built()
    await house.settle()

    assert house.processes.running == ["Gateway", "Gateway"]
    assert await house.status("gw") == "deploying"
    await house.applied()
    await house.settle()
    assert house.processes.running == ["Gateway"]
    assert await house.status("gw") == "running"
    assert len(house.keeper.held) == 1
    assert house.processes.history == ["start Gateway-0", "start Gateway-0", "stop Gateway-0"]


async def test_recreate_ends_the_old_revision_first(house: House) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.put("gateway:v2")
    await house.run("gateway:v1", "gw")

    services = {"Gateway": {"deployment_strategy": "Recreate"}}
    body = {"bento": "gateway:v2", "services": services}
    await house.call("PUT", "/api/v2/deployments/gw?cluster=default", body)
    await house.built()
    await house.settle()
    await house.applied()
    await house.settle()

    assert house.processes.history == ["start Gateway-0", "stop Gateway-0", "start Gateway-0"]
    assert await house.status("gw") == "running"


async def test_a_failed_update_leaves_the_old_revision_serving(house: House) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.put("other:v2", manifest("Other", entry="Other"))
    await house.run("gateway:v1", "gw")
    house.processes.crashes.add("Other")

    await house.call("PUT", "/api/v2/deployments/gw?cluster=default", {"bento": "other:v2"})
    await house.built()
    await house.settle()

    assert await house.status("gw") == "failed"
    assert house.processes.running == ["Gateway"]
    failed = (await house.last("failed"))["data"]
    assert failed["code"] == "service-crashed"
    assert "the last 40 words of Other" in failed["reason"]
    table = (await house.call("GET", "/internal/routes"))[1]["routes"]
    assert [(each["state"], len(each["upstreams"])) for each in table] == [("serving", 1)]


async def test_an_image_that_cannot_be_built_fails_the_deployment(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.deploy("gateway:v1", "gw")

    await house.not_built("no solution found for attrs==0")

    assert await house.status("gw") == "image-build-failed"
    assert await house.names_said() == ["requested", "failed"]
    overview = (await house.call("GET", "/api/deployments"))[1]["deployments"][0]
    assert "attrs==0" in overview["reason"]
    table = (await house.call("GET", "/internal/routes"))[1]["routes"]
    assert table[0]["state"] == "failed"


async def test_an_image_that_was_lost_while_it_served_is_built_and_run_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.lost.add(digest_of("aa"))

    house.restart()
    await house.settle()

    assert house.processes.running == ["Gateway"], "what runs is not ended for that"
    assert (await house.names_said())[-2:] == ["routed", "requested"]
    house.processes.vanish()
    await house.settle()
    assert house.processes.running == [], "without an image nothing starts"
    await house.built(digest=digest_of("bb"))
    await house.settle()
    assert house.processes.running == ["Gateway"]
    await house.applied()
    assert await house.status("gw") == "running"
    assert list(house.keeper.held.values()) == [digest_of("bb")]


async def test_a_builder_that_is_away_keeps_nothing_from_running(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.away = True

    house.restart()
    house.processes.vanish()
    await house.settle()

    assert house.processes.running == ["Gateway"]
    assert (await house.names_said())[-1] == "routed"


async def test_a_superseded_revision_never_runs(house: House) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.put("gateway:v2")
    await house.deploy("gateway:v1", "gw")
    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v2"})
    first = next(each["data"]["revision_id"] for each in await house.said())
    await house.settle()

    await house.built()
    await house.settle()

    started = [str(each.replica.revision_id) for each in house.processes.launched.values()]
    assert started
    assert first not in started


async def test_terminate_and_run_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    status, view = await house.call("POST", "/api/v2/deployments/gw/terminate?cluster=")
    assert (status, view["status"]) == (200, "terminating")
    await house.settle()
    assert await house.status("gw") == "terminated"
    assert (await house.last("terminated"))["data"]["generation"] == 2
    assert house.processes.running == []
    assert house.keeper.held == {}

    await house.call("PUT", "/api/v2/deployments/gw?cluster=default", {"bento": "gateway:v1"})
    await house.built()
    await house.settle()
    await house.applied()
    assert await house.status("gw") == "running"
    assert (await house.last("routed"))["data"]["generation"] == 3


async def test_delete_terminates_first_and_frees_the_name(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    status, view = await house.call("DELETE", "/api/v2/deployments/gw?cluster=")
    assert (status, view["status"]) == (200, "terminating")
    again, problem = await house.call(
        "POST", "/api/v2/deployments", {"bento": "gateway:v1", "name": "gw"}
    )
    assert (again, problem["type"]) == (409, "/problems/deployment-exists")
    await house.settle()

    assert await house.status("gw") == "none"
    assert (await house.names_said())[-2:] == ["terminated", "deleted"]
    await house.deploy("gateway:v1", "gw")


async def test_delete_of_a_terminated_one_is_immediate(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    await house.call("POST", "/api/v2/deployments/gw/terminate")
    await house.settle()

    status, view = await house.call("DELETE", "/api/v2/deployments/gw")

    assert (status, view["name"]) == (200, "gw")
    assert await house.status("gw") == "none"
