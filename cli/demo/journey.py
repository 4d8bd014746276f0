"""The main job: train, build, push, deploy, predict; then a bento of two services."""

import os
import re
import shutil
import tempfile
import time
import urllib.error
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from cli.demo.client import BentoClient, install
from cli.demo.platform import Platform, stopped_at_the_end, up
from cli.demo.steps import Running, StepFailedError, Steps
from cli.demo.timeline import timeline
from cli.ports import free_pair

_BENTOS: Final = Path(__file__).with_name("bentos")
_TAG: Final = re.compile(r"__tag__:(\S+)")
_FLOWER: Final = [5.9, 3.0, 5.1, 1.8]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo shows at its end, and ``--json`` prints."""

    url: str
    endpoints_url: str
    home: str
    first_prediction_seconds: float
    predictions: dict[str, Any]
    steps: list[tuple[str, float]]


def demo(console: Console, *, keep: bool, port: int | None = None) -> Outcome:
    """Run the whole journey in a temporary home. Raises ``StepFailedError``.

    Without ``keep`` nothing is left: no process, no port, no file.
    """
    folder = Path(tempfile.mkdtemp(prefix="yokocho-demo-"))
    steps = Steps(console, folder)
    home = folder / "home"
    env = dict(os.environ)
    with ExitStack() as stack:
        if not keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(stopped_at_the_end(steps, home, keep=keep, env=env))
        journey = Journey(console, steps, folder, home)
        return journey.run(port or free_pair(), env)


@dataclass(slots=True)
class Journey:
    console: Console
    steps: Steps
    folder: Path
    home: Path

    def run(self, port: int, env: dict[str, str]) -> Outcome:
        begun = time.perf_counter()
        starting = up(self.steps, self.home, port=port, env=env)
        with self.steps.step("BentoML client in an environment of its own"):
            client = install(self.steps, self.folder / "bentoml")
        training = self._client(client, "train", [str(client.python), "train.py"], bento="iris")
        with self.steps.step("platform is up"):
            platform = starting()
        login = self._login(client, platform)
        with self.steps.step("train a scikit-learn model"):
            training.finish()
        tag = self._build(client, "iris")
        login.finish()
        self._ship(client, platform, name="iris", tag=tag)
        with self.steps.step("call the endpoint"):
            prediction = self._call(platform, "iris", route="classify", body={"features": _FLOWER})
        first = time.perf_counter() - begun
        self.console.print(f"[bold]prediction[/bold] {_FLOWER} → [bold]{prediction}[/bold]")

        tag = self._build(client, "duo")
        self._ship(client, platform, name="duo", tag=tag)
        with self.steps.step("call the entry service, which calls the other"):
            greeting = self._call(platform, "duo", route="greet", body={"name": "Hanako"})
        self.console.print(f"[bold]greeting[/bold] {greeting}")
        self._show(platform)
        return Outcome(
            url=platform.url,
            endpoints_url=platform.endpoints_url,
            home=str(self.home),
            first_prediction_seconds=round(first, 2),
            predictions={"iris": prediction, "duo": greeting},
            steps=self.steps.taken,
        )

    def _client(self, client: BentoClient, name: str, command: list[str], *, bento: str) -> Running:
        return self.steps.start(name, command, env=client.environment(), cwd=_BENTOS / bento)

    def _login(self, client: BentoClient, platform: Platform) -> Running:
        command = [client.bentoml, "cloud", "login", "--endpoint", platform.url]
        return self._client(
            client, "login", [*command, "--api-token", platform.token], bento="iris"
        )

    def _build(self, client: BentoClient, bento: str) -> str:
        with self.steps.step(f"bentoml build {bento}"):
            command = [client.bentoml, "build", "--output", "tag", "."]
            said = self._client(client, f"build-{bento}", command, bento=bento).finish()
        match = _TAG.search(said)
        if match is None:
            raise StepFailedError("build", "the client printed no tag", said)
        return match[1]

    def _ship(self, client: BentoClient, platform: Platform, *, name: str, tag: str) -> None:
        with self.steps.step(f"bentoml push {tag}"):
            self._client(client, f"push-{name}", [client.bentoml, "push", tag], bento=name).finish()
        with self.steps.step(f"bentoml deploy {tag}: built, started, routed"):
            command = [client.bentoml, "deploy", tag, "--name", name, "--no-wait"]
            deploying = self._client(client, f"deploy-{name}", command, bento=name)
            platform.wait_until_routed(name)
            deploying.finish()

    def _call(self, platform: Platform, name: str, *, route: str, body: dict[str, Any]) -> Any:
        try:
            return platform.call(name, route, body)
        except (urllib.error.URLError, TimeoutError) as error:
            said = error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""
            raise StepFailedError(f"call {name}", str(error), said) from error

    def _show(self, platform: Platform) -> None:
        table = Table("time", "after", "event", "what", "who", title="what happened", box=None)
        for row in timeline(platform.events()):
            clock = row.at.strftime("%H:%M:%S.%f")[:-3]
            table.add_row(clock, f"{row.after_seconds:.3f} s", row.name, row.facts, row.actor)
        self.console.print(table)
        for name in ("iris", "duo"):
            self.console.print(f"{name}: {platform.endpoints_url}/default/{name}/")
        self.console.print(f"API: {platform.url}")
