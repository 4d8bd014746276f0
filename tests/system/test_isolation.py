"""A bento that attacks the platform it runs on: by the real client, served by the real BentoML."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.support.bentos import Client, source
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(400)

INTRUDER = Path(__file__).parents[1] / "data" / "deployer" / "intruder.py"
SERVICE = dedent(
    """
    import bentoml


    @bentoml.service(name="guest", workers=1)
    class Guest:
        @bentoml.api
        def attack(self) -> dict:
            from intruder import ATTEMPTS, succeeded

            return {"tried": len(ATTEMPTS), "succeeded": succeeded()}
    """
)


def test_a_bento_gets_at_nothing_of_the_platform(
    client: Client, platform: LocalPlatform, pushed: str, tmp_path: Path
) -> None:
    client.run("deploy", pushed, "--name", "host")
    folder = source(tmp_path / "guest", SERVICE)
    (folder / "intruder.py").write_bytes(INTRUDER.read_bytes())
    tag = client.build(folder)
    client.run(
        "deploy", tag, "--name", "guest", "--env", f"TARGETS={json.dumps(targets(platform))}"
    )

    status = platform.yokocho("status").stdout
    assert "models: isolated by" in status
    assert "builds from source: isolated by" in status
    answer = platform.predict("guest", "attack", {})

    assert answer == (200, {"tried": 21, "succeeded": []})
    for name in ("guest", "host"):
        client.run("deployment", "terminate", name)
        client.run("deployment", "delete", name)


def targets(platform: LocalPlatform) -> dict[str, Any]:
    """What is really there."""
    home = platform.home
    paths = {
        "keys": home / "keys" / "deployer.pem",
        "image": next(home.glob("builder/images/*/bento/bento.yaml")),
        "database": home / "postgres" / "PG_VERSION",
        "socket": next((each for each in home.rglob("*") if each.is_socket()), home / "none"),
    }
    assert all(path.exists() for name, path in paths.items() if name != "socket")
    return {
        **{name: str(path) for name, path in paths.items()},
        "victim": platform.status()["supervisor"]["pid"],
        "program": "cli.supervisor",
        "variable": "YOKOCHO_",
    }
