"""What a service asks for, from the request to its process and to whoever looks."""

from services.deployer.domain.resources import Resources
from tests.component.deployer.conftest import House
from tests.support.deployer import manifest


async def test_resources_reach_the_process_and_the_view_says_what_is_enforced(house: House) -> None:
    described = manifest("Gateway>Inner", "Inner")
    described["services"][0]["config"] = {"resources": {"cpu": "500m", "memory": "4Gi", "gpu": 1}}
    house.bentos.put("gateway:v1", described)
    overrides = {"config_overrides": {"resources": {"memory": "64Mi"}}}

    await house.run("gateway:v1", "gw", services={"Gateway": overrides})

    launched = {each.replica.service: each.resources for each in house.processes.launched.values()}
    assert launched["Gateway"] == Resources(cpus=0.5, memory_bytes=64 << 20, gpus=1)
    assert launched["Inner"] == Resources()
    shown = (await house.call("GET", "/api/deployments/default/gw"))[1]["resources"]
    gpu = "1, not enforced here: there is none"
    assert shown == {"Gateway": {"cpu": "0.5", "memory": "64Mi", "gpu": gpu}, "Inner": {}}
