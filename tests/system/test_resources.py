"""What a real bento may take, asked for by the real client."""

import json

import pytest

from tests.support.bentos import Client
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(300)


def _asking(bento: str, memory: str) -> str:
    """The client takes the name from it, too, when it updates."""
    resources = {"cpu": "1500m", "memory": memory}
    services = {"echo": {"config_overrides": {"resources": resources}}}
    return json.dumps({"name": "hungry", "bento": bento, "services": services})


def test_too_small_a_limit_is_told_and_a_larger_one_serves(
    client: Client, pushed: str, platform: LocalPlatform
) -> None:
    if not platform.status()["limits"].startswith("limited by cgroups"):
        pytest.skip(platform.status()["limits"])

    client.fails("deploy", "--config-dict", _asking(pushed, "32Mi"))
    failed = platform.request("GET", "/api/deployments/default/hungry")[1]
    client.run("deployment", "update", "--config-dict", _asking(pushed, "1Gi"))
    platform.wait_for_status("hungry", "running")
    served = platform.predict("hungry", "say", {"text": "hello"})
    shown = platform.request("GET", "/api/deployments/default/hungry")[1]
    client.run("deployment", "terminate", "hungry")
    client.run("deployment", "delete", "hungry")

    assert "it needed more than its memory limit of 32Mi" in failed["reason"]
    assert served == (200, "v1: hello")
    assert shown["resources"] == {"echo": {"cpu": "1.5", "memory": "1Gi"}}
