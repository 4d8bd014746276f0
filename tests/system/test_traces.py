"""A deployment is one trace, from the request at the gateway to the route that it ends in."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from cli.home import SERVICES
from tests.support.collector import Span, collecting
from tests.support.driver import Driver
from tests.support.platform import LocalPlatform, running
from tests.support.tiny import tiny_bento

pytestmark = pytest.mark.timeout(120)

ROUTE_CONSUMER: Final = "gateway-routes-v1 dev.yokocho.deployment.routed.v1"
WAY: Final = (
    ("gateway", "POST /api/v2/deployments{below}"),
    ("deployer", "POST /api/v2/deployments"),
    ("registry", "GET /internal/bentos/{repository}/{version}"),
    ("builder", "builder-requests-v1 dev.yokocho.deployment.requested.v1"),
    ("builder", "image.build"),
    ("deployer", "deployer-images-v1 dev.yokocho.image.built.v1"),
    ("deployer", "deployment.route"),
    ("gateway", ROUTE_CONSUMER),
)


async def test_a_deployment_is_one_trace_that_is_linked_to_the_push(tmp_path: Path) -> None:
    async with collecting() as collector:
        pushed, routed = await asyncio.to_thread(deploy, tmp_path, collector.url)
        trace = trace_of(routed)
        await collector.until(lambda spans: walked(spans, trace), seconds=5)

    spans = collector.trace(trace)
    [root] = [each for each in spans if not each.parent]
    assert (root.service, root.name) == WAY[0]
    known = {each.id for each in spans}
    assert [each for each in spans if each.parent and each.parent not in known] == []
    assert trace_of(pushed) != trace
    assert {link for each in spans for link in each.links} == {trace_of(pushed)}
    assert "registry" in {each.service for each in collector.trace(trace_of(pushed))}


def deploy(folder: Path, collector: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Push, deploy and wait for the route; the events of the push and of the route."""
    env = {f"YOKOCHO_{each.upper()}_TELEMETRY__OTLP_ENDPOINT": collector for each in SERVICES}
    files = tiny_bento(folder, "tiny")
    with running(folder / "home", env=env) as platform:
        driver = Driver(platform, platform.token)
        driver.push(files, "tiny", "v1")
        driver.deploy("tiny:v1", "tiny")
        platform.wait_for_status("tiny", "running", seconds=30)
        return event(platform, "bento.pushed"), event(platform, "deployment.routed")


def event(platform: LocalPlatform, name: str) -> dict[str, Any]:
    [found] = platform.events(type=name)
    return found


def trace_of(said: dict[str, Any]) -> str:
    return str(said["traceparent"]).split("-")[1]


def walked(spans: Sequence[Span], trace: str) -> bool:
    """Every service on the way has told its part, and what that was called by."""
    return {(each.service, each.name) for each in spans if each.trace == trace} >= set(WAY)
