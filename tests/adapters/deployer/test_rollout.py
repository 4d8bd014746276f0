"""An update while requests run: the smallest data plane there is follows the routing."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

from libs.chassis.process import identify
from tests.support.deployer_process import DeployerProcess, pids
from tests.support.loops import eventually


@dataclass
class Load:
    """Callers that ask the upstream they were told last, again and again."""

    session: aiohttp.ClientSession
    upstream: str
    answers: list[int] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self) -> None:
        while not self.stopped.is_set():
            try:
                async with self.session.get(f"{self.upstream}/slow") as answer:
                    await answer.read()
                    self.answers.append(answer.status)
            except aiohttp.ClientError:
                self.answers.append(0)


async def test_an_update_under_load_fails_no_request(deployer: DeployerProcess) -> None:
    body = {"bento": "gateway:v1", "name": "gw", "services": {}}
    await deployer.call("POST", "/api/v2/deployments?cluster=", body)
    await deployer.build()
    await deployer.apply()
    old = pids(await deployer.becomes("running"))
    first = (await deployer.said("routed"))["data"]["upstreams"][0]["url"]
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        load = Load(session, first)
        for _ in range(4):
            group.create_task(load.call())

        body = {"bento": "gateway:v2", "services": {}}
        await deployer.call("PUT", "/api/v2/deployments/gw?cluster=default", body)
        await deployer.said("requested", count=2)
        await deployer.build()
        load.upstream = (await deployer.said("routed", count=2))["data"]["upstreams"][0]["url"]
        await deployer.apply(count=2)
        await eventually(lambda: not any(identify(pid) for pid in old))
        load.stopped.set()

    assert load.upstream != first
    assert set(load.answers) == {200}
    assert (await deployer.becomes("running"))["revision"] == 2
