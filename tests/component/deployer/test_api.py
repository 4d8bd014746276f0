"""BentoML's v2 API and ours: what is answered, and what is refused by its name."""

import asyncio
from base64 import b64decode
from pathlib import Path
from uuid import UUID

import pytest

from services.deployer.store import organisations
from tests.component.deployer.conftest import House
from tests.support.deployer import manifest

STRANGER = {"X-Test-Org": str(UUID(int=8))}


async def test_the_answer_has_all_that_the_client_requires(house: House) -> None:
    house.bentos.put("gateway:v1")

    view = await house.deploy("gateway:v1", "gw", labels=[{"key": "a", "value": "b"}])

    base = {"uid", "created_at", "updated_at", "deleted_at", "name", "resource_type", "labels"}
    for resource in (view, view["cluster"], view["latest_revision"], view["creator"]):
        assert base <= resource.keys()
    assert view["urls"] == ["http://127.0.0.1:7778/default/gw"]
    assert view["labels"] == [{"key": "a", "value": "b"}]
    assert view["manifest"] == {"dev": False}
    assert view["kube_namespace"] == "default"
    assert view["creator"]["email"] == "ada@example.com"
    assert view["cluster"]["is_first"] is True
    [target] = view["latest_revision"]["targets"]
    assert target["bento"]["repository"]["name"] == "gateway"
    assert target["bento"]["name"] == target["bento"]["version"] == "v1"
    assert target["config"]["access_authorization"] is False


async def test_a_list_is_counted_and_filtered(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.deploy("gateway:v1", "one", labels=[{"key": "a", "value": "b"}])
    await house.deploy("gateway:v1", "two")
    base = "/api/v2/deployments?cluster=&all=true&search="

    everything = (await house.call("GET", f"{base}&count=&q=&start="))[1]
    labelled = (await house.call("GET", f"{base}&q=label:a=b"))[1]
    second = (await house.call("GET", f"{base}&start=1&count=1"))[1]
    dev = (await house.call("GET", f"{base}&q=is:dev"))[1]

    assert (everything["total"], [each["name"] for each in everything["items"]]) == (
        2,
        ["two", "one"],
    )
    assert [each["name"] for each in labelled["items"]] == ["one"]
    assert (second["total"], [each["name"] for each in second["items"]]) == (2, ["one"])
    assert dev == {"start": 0, "count": 0, "total": 0, "items": []}


async def test_a_name_is_invented_where_none_is_given(house: House) -> None:
    house.bentos.put("iris_classifier:v1")

    status, view = await house.call("POST", "/api/v2/deployments", {"bento": "iris_classifier"})

    assert status == 200
    assert view["name"].startswith("iris-classifier-")


async def test_a_namespace_is_part_of_the_name(house: House) -> None:
    house.bentos.put("gateway:v1")

    view = await house.deploy("gateway:v1", "team.gw")

    assert (view["name"], view["kube_namespace"]) == ("team.gw", "team")
    assert view["urls"] == ["http://127.0.0.1:7778/team/gw"]
    assert await house.status("team.gw") == "image-building"
    assert await house.status("gw") == "none"


async def test_a_lost_answer_can_be_asked_for_again(house: House) -> None:
    house.bentos.put("gateway:v1")
    first = await house.deploy("gateway:v1", "gw")

    second = await house.deploy("gateway:v1", "gw")

    assert first["uid"] == second["uid"]
    assert await house.names_said() == ["requested"]


async def test_a_name_that_is_taken(house: House) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.put("gateway:v2")
    await house.deploy("gateway:v1", "gw")

    status, problem = await house.call(
        "POST", "/api/v2/deployments", {"bento": "gateway:v2", "name": "gw"}
    )

    assert (status, problem["detail"]) == (409, "deployment gw already exists")


async def test_an_unknown_bento_is_named(house: House) -> None:
    status, problem = await house.call(
        "POST", "/api/v2/deployments", {"bento": "nobody:v1", "name": "x"}
    )

    assert status == 404
    assert "nobody:v1" in problem["detail"]
    assert await house.names_said() == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"canary": {"route_type": "random", "versions": {}}}, "canary"),
        ({"secrets": ["s1"]}, "secrets"),
        ({"dev": True}, "dev"),
        ({"tomorrow": {"x": 1}}, "tomorrow"),
        ({"services": {"Gateway": {"extras": {"bento_function_overrides": {}}}}}, "extras"),
        ({"services": {"Gateway": {"instance_type": "gpu.1"}}}, "instance_type"),
        ({"services": {"Gateway": {"cold_start_timeout": 60}}}, "cold_start_timeout"),
        (
            {"services": {"Gateway": {"deployment_strategy": "RampedSlowRollout"}}},
            "deployment_strategy",
        ),
        (
            {"services": {"Gateway": {"scaling": {"min_replicas": 0, "max_replicas": 1}}}},
            "min_replicas",
        ),
        (
            {"services": {"Gateway": {"scaling": {"min_replicas": 1, "max_replicas": 2}}}},
            "max_replicas",
        ),
        ({"services": {"Gateway": {"scaling": {"policy": {"metrics": [{}]}}}}}, "policy"),
        ({"services": {"Inner": {"scaling": {"min_replicas": 2, "max_replicas": 2}}}}, "Inner"),
        ({"services": {"Gateway": {"config_overrides": {"ssl": {"enabled": True}}}}}, "ssl"),
        (
            {"services": {"Inner": {"config_overrides": {"resources": {"memory": "lots"}}}}},
            "services.Inner.resources.memory",
        ),
        ({"services": {"Inner": {"config_overrides": {"resources": "much"}}}}, "no table"),
        ({"envs": [{"name": "YOKOCHO_TOKEN", "value": "x"}]}, "YOKOCHO_TOKEN"),
        ({"envs": [{"name": "BENTOML_HOME", "value": "x"}]}, "BENTOML_HOME"),
        ({"envs": [{"name": "1X", "value": "x"}]}, "1X"),
        ({"name": "Not_A_Label"}, "Not_A_Label"),
        ({"labels": [{"key": "a", "value": "\0"}]}, "labels"),
        ({"services": {"Gateway": {"config_overrides": {"x": ["\0"]}}}}, "config_overrides"),
    ],
)
async def test_what_is_not_done_here_is_refused_by_its_name(
    house: House, changes: dict[str, object], named: str
) -> None:
    house.bentos.put("gateway:v1", manifest("Gateway>Inner", "Inner"))

    status, problem = await house.call(
        "POST", "/api/v2/deployments?cluster=", {"bento": "gateway:v1", "name": "gw"} | changes
    )

    assert status == 422, problem
    assert named in problem["detail"]
    assert await house.names_said() == []


async def test_depends_on_a_deployment_is_refused(house: House) -> None:
    described = manifest("Gateway")
    described["services"][0]["dependencies"] = [{"service": None, "deployment": "other"}]
    house.bentos.put("gateway:v1", described)

    status, problem = await house.call("POST", "/api/v2/deployments", {"bento": "gateway:v1"})

    assert status == 422
    assert "depends(deployment='other')" in problem["detail"]


async def test_a_stale_service_is_ignored(house: House) -> None:
    house.bentos.put("gateway:v1")

    view = await house.deploy("gateway:v1", "gw", services={"Elder": {"envs": None}})

    assert view["latest_revision"]["targets"][0]["config"]["services"] == {}


async def test_another_cluster_is_refused(house: House) -> None:
    status, problem = await house.call("GET", "/api/v2/deployments?cluster=moon")

    assert (status, problem["type"]) == (422, "/problems/cluster-unknown")
    assert await house.call("GET", "/api/v1/instance_types?cluster=") == (200, [])


async def test_what_is_absent_is_404(house: House) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/terminate"),
        ("PUT", "/void_update"),
    ):
        for name in ("nobody", "No_Name"):
            status, problem = await house.call(method, f"/api/v2/deployments/{name}{path}?cluster=")
            assert (status, problem["type"]) == (404, "/problems/deployment-not-found")


async def test_one_organisation_neither_sees_nor_joins_the_other(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.deploy("gateway:v1", "gw")

    house.session.headers.update(STRANGER)
    status, _ = await house.call("GET", "/api/v2/deployments/gw")
    listed = (await house.call("GET", "/api/v2/deployments"))[1]

    assert status == 404
    assert listed["total"] == 0


@pytest.mark.parametrize("isolated", [False, True], ids=["together", "isolated"])
async def test_a_second_organisation_deploys_where_what_runs_is_isolated(
    house: House, *, isolated: bool
) -> None:
    house.bentos.put("gateway:v1")
    house.bentos.orgs.add(UUID(STRANGER["X-Test-Org"]))
    await house.deploy("gateway:v1", "gw")

    house.session.headers.update(STRANGER)
    place = "/api/v2/deployments?cluster="
    own = {"bento": "gateway:v1", "name": "theirs.gw"}
    status, told = await house.call("POST", place, own)
    async with house.pool.acquire() as connection:
        present = await organisations(connection)

    if isolated:
        assert (status, present) == (200, 2)
        taken = (await house.call("POST", place, {**own, "name": "default.other"}))[1]
        assert taken["type"] == "/problems/namespace-taken"
    else:
        assert (status, told["type"]) == (403, "/problems/organisation-not-isolated")
        assert present == 1


async def test_our_own_view_shows_processes_and_says_what_is_not_enforced(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    [seen] = (await house.call("GET", "/api/deployments"))[1]["deployments"]

    assert (seen["namespace"], seen["name"], seen["status"]) == ("default", "gw", "running")
    assert seen["resources"] == {"Gateway": {}}
    [process] = seen["processes"]
    assert (process["service"], process["state"], process["pid"]) == ("Gateway", "ready", 4711)
    alone = (await house.call("GET", "/api/deployments/default/gw"))[1]
    assert alone == seen


async def test_logs_are_those_of_the_newest_revision_that_has_any(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    [process] = (await house.call("GET", "/api/deployments/default/gw"))[1]["processes"]
    Path(process["log"]).write_text("one\ntwo\nthree\n")
    url = f"{house.url}/api/deployments/default/gw/logs"

    async with house.session.get(f"{url}?lines=2") as answer:
        assert await answer.text() == "two\nthree\n"
    async with house.session.get(f"{url}?follow=true&lines=1") as answer:
        assert await answer.content.readline() == b"three\n"
    status, problem = await house.call("GET", "/api/deployments/default/gw/logs?service=Nobody")
    assert (status, "Gateway" in problem["detail"]) == (422, True)


async def test_replicas_are_pods_with_logs(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    [process] = (await house.call("GET", "/api/deployments/default/gw"))[1]["processes"]
    Path(process["log"]).write_text("one\ntwo\nthree\n")
    about = "organization_name=default&cluster=default"

    async with house.session.ws_connect(f"{house.url}/ws/v2/deployments/gw/pods?{about}") as socket:
        [pod] = (await socket.receive_json())["payload"]
    tail = f"{house.url}/ws/v1/clusters/default/tail?pod_name={pod['name']}"
    async with asyncio.timeout(10), house.session.ws_connect(tail) as socket:
        wish = {"id": "r1", "container_name": "main", "follow": True, "tail_lines": 2}
        await socket.send_json({"type": "data", "payload": wish})
        items = [(await socket.receive_json())["payload"]["items"] for _ in range(2)]
    async with house.session.ws_connect(f"{house.url}/ws/v2/deployments/no/pods") as socket:
        refused = await socket.receive_json()

    assert pod["labels"] == {"yatai.ai/bento-function-component-type": "api-server"}
    assert (pod["runner_name"], pod["pod_status"]["status"]) == ("Gateway", "Running")
    assert [b64decode(item) for each in items for item in each] == [b"two\n", b"three\n"]
    assert (refused["type"], "no" in refused["message"]) == ("error", True)
