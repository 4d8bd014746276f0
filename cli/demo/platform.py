"""The demo's own platform: a temporary home on free ports, driven through the public doors."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.demo.steps import StepFailedError, Steps

_ROUTED_WITHIN_SECONDS: Final = 600
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform as the demo sees it: two URLs and a token."""

    url: str
    endpoints_url: str
    token: str

    def get(self, path: str) -> Any:
        """JSON of a GET; HTTP errors raise ``urllib.error.HTTPError``."""
        request = urllib.request.Request(  # noqa: S310  # our own loopback address
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # see above
            return json.load(answer)

    def call(self, deployment: str, route: str, body: dict[str, Any]) -> Any:
        """One prediction through the deployment's public endpoint."""
        request = urllib.request.Request(  # noqa: S310  # our own loopback address
            f"{self.endpoints_url}/default/{deployment}/{route}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # see above
            raw = answer.read().decode()
            return json.loads(raw) if "json" in answer.headers["Content-Type"] else raw

    def events(self, **query: str) -> Iterator[dict[str, Any]]:
        """Every event that matches, oldest first."""
        after = 0
        while True:
            filters = "".join(f"&{name}={value}" for name, value in query.items())
            page = self.get(f"/api/events?limit=500&after={after}{filters}")
            if not page["events"]:
                return
            yield from (entry["event"] for entry in page["events"])
            after = page["next"]

    def wait_until_routed(self, deployment: str, *, generation: int = 1) -> None:
        """Return as soon as the gateway serves the deployment; a failed one raises its reason."""
        deadline = time.monotonic() + _ROUTED_WITHIN_SECONDS
        after = 0
        identity = ""
        while time.monotonic() < deadline:
            page = self.get(f"/api/events?limit=500&after={after}")
            after = page["next"]
            for event in (entry["event"] for entry in page["events"]):
                data = event["data"]
                if data.get("deployment") == deployment:
                    identity = event["entityid"]
                if event["entityid"] == identity:
                    _raise_if_failed(deployment, event)
                    if ".route.applied." in event["type"] and data["generation"] >= generation:
                        return
            failed = [each for each in page["events"] if ".image.failed." in each["event"]["type"]]
            if failed:
                raise StepFailedError("build", failed[-1]["event"]["data"]["reason"])
            time.sleep(_POLL_SECONDS)
        raise StepFailedError(deployment, f"not routed within {_ROUTED_WITHIN_SECONDS} s")


def _raise_if_failed(deployment: str, event: dict[str, Any]) -> None:
    if ".deployment.failed." in event["type"]:
        raise StepFailedError(deployment, event["data"]["reason"])


def up(steps: Steps, home: Path, *, port: int, env: dict[str, str]) -> Callable[[], Platform]:
    """Start the platform in the background; calling the result waits until it is ready."""
    command = [sys.executable, "-m", "cli", "up", "--detach", "--home", str(home)]
    running = steps.start("up", [*command, "--port", str(port), "--json"], env=env)

    def ready() -> Platform:
        running.finish(timeout=120)
        status = steps.run("status", yokocho("status", home), env=env)
        told = json.loads(status)
        return Platform(
            url=told["url"],
            endpoints_url=told["endpoints_url"],
            token=(home / "token").read_text().strip(),
        )

    return ready


def yokocho(command: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "cli", command, "--home", str(home), "--json"]


@contextmanager
def stopped_at_the_end(
    steps: Steps, home: Path, *, keep: bool, env: dict[str, str]
) -> Iterator[None]:
    """Whatever happens inside, nothing of the platform is left running unless asked for."""
    try:
        yield
    finally:
        if not keep:
            steps.run("down", yokocho("down", home), env=env)
