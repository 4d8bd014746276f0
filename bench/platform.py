"""The platform as a whole: how soon it is ready, how much memory it holds, how soon it predicts."""

import shutil
import time
from pathlib import Path
from typing import Any, Final

import psutil

from bench import machine
from bench.report import Row, median
from cli.demo.client import BentoClient
from tests.support.bentos import Client
from tests.support.platform import LocalPlatform

_ROUNDS: Final = 3
_MIB: Final = 2**20
_BENTO: Final = Path(__file__).parents[1] / "cli/demo/bentos/iris"
_FLOWER: Final = {"features": [5.9, 3.0, 5.1, 1.8]}


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        memory = _memory(platform)
        starts = [_start(platform) for _ in range(_ROUNDS)]
        client = machine.client(folder)
        machine.login(client, platform.url, platform.token)
        source = shutil.copytree(_BENTO, folder / "iris")
        machine.run(client, "train.py", cwd=source)
        cold, *warm = [
            _predict(platform, client, source=source, number=number)
            for number in range(_ROUNDS + 1)
        ]
    return [
        Row("up → ready, warm", median(starts), "s", target=3, samples=_ROUNDS),
        Row("memory (PSS) of everything, no bentos", memory, "MiB", target=350 * 1e6 / _MIB),
        Row("push → first prediction, first bento", cold, "s"),
        Row("push → first prediction, warm", median(warm), "s", target=25, samples=_ROUNDS),
    ]


def _start(platform: LocalPlatform) -> float:
    platform.down()
    begun = time.monotonic()
    platform.up()
    return time.monotonic() - begun


def _memory(platform: LocalPlatform) -> float:
    """Proportional: what several processes share is counted once. The supervisor included."""
    time.sleep(5)
    status = platform.status()
    told = [*status["services"].values(), status["supervisor"]]
    roots = [psutil.Process(int(each["pid"])) for each in told if each["pid"]]
    everything = {*roots, *(child for root in roots for child in root.children(recursive=True))}
    return sum(_pss(each.pid) for each in everything) / _MIB


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _predict(platform: LocalPlatform, client: BentoClient, *, source: Path, number: int) -> float:
    """A bento of other bytes each time; built before the clock starts."""
    service = source / "service.py"
    service.write_text(f"{service.read_text()}\n# {number}\n")
    tag = Client(client.python, client.home).build(source)
    name = f"iris-{number}"
    begun = time.monotonic()
    machine.run(client, "push", tag)
    machine.run(client, "deploy", tag, "--name", name, "--no-wait")
    _until_routed(platform, name)
    status, answer = platform.predict(name, "classify", _FLOWER)
    taken = time.monotonic() - begun
    if status != 200:
        raise machine.RunError(f"{name} answers {status}: {answer}")
    platform.request("DELETE", f"/api/v2/deployments/{name}?cluster=default")
    return taken


def _until_routed(platform: LocalPlatform, name: str) -> None:
    """As the demo does: by the events, since the client's own wait polls every ten seconds."""
    deadline = time.monotonic() + 180
    entity: Any = None
    while time.monotonic() < deadline:
        for event in platform.events():
            if event["data"].get("deployment") == name:
                entity = event["entityid"]
            if event["entityid"] == entity and ".route.applied." in event["type"]:
                return
        time.sleep(0.02)
    raise machine.RunError(f"{name} was not routed: {platform.yokocho('deployments').stdout}")
