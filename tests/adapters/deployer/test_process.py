"""The whole program on a real bus and database, with processes; killed, stopped and back."""

import asyncio
import os
import signal

import pytest

from libs.chassis.process import identify
from tests.support.deployer_process import DeployerProcess, pids
from tests.support.loops import eventually

OF_ANOTHER = """
    INSERT INTO deployment (id, org_id, org, cluster, namespace, name, goal, labels, creator, cause,
                            created_at, updated_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 'other', cluster, 'other', name, 'run', labels,
           creator, cause, created_at, updated_at
    FROM deployment
"""
CREATE = {"bento": "gateway:v1", "name": "gw", "services": {}}


async def serving(deployer: DeployerProcess) -> list[int]:
    """From nothing to running; the processes that serve."""
    await deployer.call("POST", "/api/v2/deployments?cluster=", CREATE)
    await deployer.build()
    await deployer.apply()
    return pids(await deployer.becomes("running"))


async def test_one_trace_from_request_to_routing(deployer: DeployerProcess) -> None:
    await serving(deployer)

    said = [await deployer.said(name) for name in ("requested", "ready", "routed")]

    assert len({each["traceparent"].split("-")[1] for each in said}) == 1
    assert len({each["correlationid"] for each in said}) == 1
    assert len(deployer.neighbours.held) == 1


async def test_killed_and_back_it_finds_what_runs(deployer: DeployerProcess) -> None:
    before = await serving(deployer)

    deployer.kill()
    assert all(identify(pid) for pid in before), "models do not die with the deployer"
    deployer.launch()

    assert pids(await deployer.becomes("running")) == before
    await asyncio.sleep(0.5)
    assert pids(await deployer.becomes("running")) == before
    await deployer.call("DELETE", "/api/v2/deployments/gw?cluster=")
    await deployer.becomes("none")
    assert [pid for pid in before if identify(pid)] == []
    assert deployer.neighbours.held == set()


async def test_killed_while_it_starts_processes_it_goes_on(deployer: DeployerProcess) -> None:
    await deployer.call("POST", "/api/v2/deployments?cluster=", CREATE)
    await deployer.build()
    await eventually(lambda: bool(deployer.neighbours.held))
    await asyncio.sleep(0.1)

    deployer.kill()
    deployer.launch()

    await deployer.apply()
    view = await deployer.becomes("running")
    assert sorted(each["service"] for each in view["processes"]) == ["Gateway", "Inner"]


async def test_what_was_killed_meanwhile_is_started_again(deployer: DeployerProcess) -> None:
    before = await serving(deployer)
    deployer.kill()
    os.kill(before[0], signal.SIGKILL)

    deployer.launch()

    async with asyncio.timeout(20):
        while True:
            view = await deployer.becomes("running")
            states = {each["state"] for each in view["processes"]}
            if states == {"ready"} and pids(view) != before:
                break
            await asyncio.sleep(0.05)


async def test_a_stop_is_quick_and_leaves_the_models_alone(deployer: DeployerProcess) -> None:
    before = await serving(deployer)

    assert deployer.stop() == 0

    assert all(identify(pid) for pid in before)


@pytest.mark.parametrize("isolation", ["none", "auto"])
async def test_several_organisations_are_served_by_one_that_isolates(
    deployer: DeployerProcess, isolation: str
) -> None:
    deployer.environment["YOKOCHO_DEPLOYER_ISOLATION"] = isolation
    await deployer.call("POST", "/api/v2/deployments?cluster=", CREATE)
    await deployer.pool.execute(OF_ANOTHER)
    deployer.kill()
    deployer.launch()

    if isolation == "auto":
        assert await deployer.call("GET", "/api/deployments")
    else:
        assert deployer.process is not None
        assert await asyncio.to_thread(deployer.process.wait, 20) == 2
        said = deployer.log.read_text()
        assert "several organisations deploy here, and their models are not isolated" in said
