"""Secrets by the real client: kept, deployed with, taken by the process, rotated under it."""

from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.bentos import Client, source
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(400)

TELLS = dedent(
    """
    import os
    from pathlib import Path

    import bentoml


    @bentoml.service(name="tells", workers=1)
    class Tells:
        @bentoml.api
        def say(self) -> str:
            file = Path(os.environ["BENTOML_HOME"], "cfg.json")
            return f"{os.environ.get('TOKEN')} {file.read_text()}"
    """
)


def test_a_secret_reaches_the_process_and_nothing_else(
    client: Client, platform: LocalPlatform, tmp_path: Path
) -> None:
    secrets = ("--secret", "token", "--secret", "config")
    file = tmp_path / "cfg.json"
    file.write_text('{"kept": "to-ourselves-1"}')
    client.run("secret", "create", "token", "TOKEN=to-ourselves-2", "-d", "of the hub")
    client.run("secret", "create", "config", "-t", "file", "-s", "all", f"cfg.json=@{file}")
    assert "token" in client.run("secret", "list")
    tag = client.build(source(tmp_path / "tells", TELLS))
    client.run("deploy", tag, "--name", "tells", *secrets)

    answer = 'to-ourselves-2 {"kept": "to-ourselves-1"}'
    assert platform.predict("tells", "say", {}) == (200, answer)

    client.run("secret", "apply", "token", "TOKEN=to-ourselves-3")
    platform.yokocho("secrets", "rotate")
    assert "TOKEN" in platform.yokocho("secrets", "list").stdout
    client.run("deployment", "update", "tells", "--env", "AGAIN=1", *secrets)
    platform.wait_for_status("tells", "running")
    status, said = platform.predict("tells", "say", {})
    assert (status, said.partition(" ")[0]) == (200, "to-ourselves-3")

    assert "used by" in client.fails("secret", "delete", "token")
    told = str(platform.events())
    logs = "".join(path.read_text(errors="replace") for path in platform.home.rglob("*.log"))
    assert "to-ourselves" not in told + logs
    assert "secret.created" in told
    client.run("deployment", "terminate", "tells")
    client.run("deployment", "delete", "tells")
