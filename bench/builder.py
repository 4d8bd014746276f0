"""Images of one bento: by the builder, and by buildah from the Dockerfile that BentoML wrote.

The peer is plain ``buildah build --isolation chroot --layers`` and ``buildah push`` to the same
registry, as root: faster than the unprivileged one that the builder itself would call. It finds
the bento unpacked and the base image pulled, has pip's and uv's caches mounted, and is spared the
system packages that the plan leaves out as well. Both have the wheels; each round begins in a
platform and a storage that are new. The builder's time is from its beginning to its end as its
API tells them, and from POST to the end as somebody sees it who follows the build.
"""

import http.client
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bench import machine
from bench.buildah import Peer
from bench.report import Row, median
from cli.demo.client import BentoClient
from libs.chassis.auth import Signer
from tests.support.base_image import base_image
from tests.support.platform import LocalPlatform

_ROUNDS: Final = int(os.environ.get("YOKOCHO_BENCH_ROUNDS", "3"))
_BASE: Final = "python:3.11-slim"
_MB: Final = 10**6
_MODELS: Final = (500, 2000)
_SERVICE: Final = """
import bentoml

@bentoml.service(image=bentoml.images.Image().python_packages("scikit-learn==1.7.2"))
class {name}:
{model}
    @bentoml.api
    def version(self) -> str:
        import sklearn
        return f"{number} {{sklearn.__version__}}"
"""
_MODEL: Final = """
import os, sys, bentoml
with bentoml.models.create(sys.argv[1]) as model:
    with open(model.path_of("weights.bin"), "wb") as file:
        for _ in range(int(sys.argv[2])):
            file.write(os.urandom(10**6))
"""
_TAG: Final = re.compile(r"__tag__:(\S+)")


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds by round: of the build, of the client that waits for it, of buildah."""

    inside: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Times:
    first: Timed = field(default_factory=Timed)
    changed: Timed = field(default_factory=Timed)
    same: Timed = field(default_factory=Timed)
    model: Timed = field(default_factory=Timed)
    memory: dict[int, float] = field(default_factory=dict)


def measure() -> list[Row]:
    times = Times()
    with machine.scratch() as folder:
        client = machine.client(folder)
        _round(folder / "warm", client, Times(), warm=True)
        for number in range(_ROUNDS):
            _round(folder / str(number), client, times)
        with _bench(folder / "models", client) as bench:
            _models(bench, times)
    return [*_rows(times), *_memory_rows(times)]


def _rows(times: Times) -> Iterator[Row]:
    goals = (
        ("first image, wheels cached", times.first, 4.0, 1 / 3),
        ("application code changed", times.changed, 0.15, 1 / 1.5),
        ("nothing changed", times.same, 0.03, 1 / 4),
        (f"another bento, same model of {_MODELS[0]} MB", times.model, 0.5, None),
    )
    for what, timed, seconds, ratio in goals:
        count = len(timed.inside)
        yield Row(what, median(timed.inside), "s", target=seconds, samples=count)
        seen = median(timed.seen)
        if timed.peer:
            yield Row(
                "    from POST to its end", seen, "s", median(timed.peer), "buildah", ratio, count
            )
        else:
            yield Row("    from POST to its end", seen, "s", samples=count)


def _memory_rows(times: Times) -> Iterator[Row]:
    for size, peak in times.memory.items():
        yield Row(f"builder's RSS at most, model of {size} MB", peak, "MB", target=200)


@dataclass(frozen=True, slots=True)
class Bench:
    """One new platform with the base image, and one new storage of buildah's."""

    folder: Path
    platform: LocalPlatform
    client: BentoClient
    builder: str
    signer: Signer
    org: UUID
    base: str

    def pushed(self, name: str, number: int, *, model: str = "") -> str:
        """The tag of a bento that the registry has."""
        source = self.folder / name
        source.mkdir(exist_ok=True)
        line = f'    model = bentoml.models.BentoModel("{model}:latest")' if model else ""
        text = _SERVICE.format(name=name, number=number, model=line)
        (source / "service.py").write_text(text)
        said = machine.run(self.client, "build", "--output", "tag", ".", cwd=source)
        found = _TAG.search(said)
        if found is None:
            raise machine.RunError(said)
        machine.run(self.client, "push", found[1])
        return found[1]

    def bento(self, tag: str) -> Path:
        return self.client.home / "bentos" / tag.replace(":", "/")

    def build(self, tag: str, timed: Timed) -> None:
        machine.settle()
        begun = time.monotonic()
        with self._ask("/api/builds", {"bento": tag}) as answer:
            build = json.load(answer)["id"]
        with self._ask(f"/api/builds/{build}/events") as lines:
            ended = _end_of(lines)
        timed.seen.append(time.monotonic() - begun)
        if ended["status"] != "built" or ended["strategy"] != "assemble":
            raise machine.RunError(f"{tag}: {ended}")
        timed.inside.append(_moment(ended, "ended_at") - _moment(ended, "started_at"))

    def peak(self) -> float:
        """Of the builder's process since it was last forgotten."""
        told = Path(f"/proc/{self.platform.pid('builder')}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", told)
        return int(found[1]) * 1024 / _MB if found else 0.0

    def forget_peak(self) -> None:
        Path(f"/proc/{self.platform.pid('builder')}/clear_refs").write_text("5")

    def _ask(self, path: str, body: object = None) -> http.client.HTTPResponse:
        token = self.signer.token("user:bench", audience="builder", org_id=self.org, org="default")
        connection = http.client.HTTPConnection(self.builder, timeout=600)
        connection.request(
            "GET" if body is None else "POST",
            path,
            None if body is None else json.dumps(body),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        return connection.getresponse()


@contextmanager
def _bench(folder: Path, client: BentoClient) -> Iterator[Bench]:
    folder.mkdir()
    with machine.platform(folder) as platform:
        machine.login(client, platform.url, platform.token)
        layout = str(base_image())
        told = platform.yokocho("base-images", "import", _BASE, layout, "--json")
        home = folder / "home"
        ports = json.loads((home / "home.json").read_text())["ports"]
        status, org = platform.request("GET", "/api/v1/current_org")
        if status != 200:
            raise machine.RunError(str(org))
        yield Bench(
            folder,
            platform,
            client,
            f"127.0.0.1:{ports['builder']}",
            Signer("gateway", home / "keys" / "gateway.pem"),
            UUID(org["uid"]),
            json.loads(told.stdout)["items"][0]["digest"],
        )


def _round(folder: Path, client: BentoClient, times: Times, *, warm: bool = False) -> None:
    """``warm`` stops when all caches of wheels are filled."""
    with _bench(folder, client) as bench:
        peer = Peer(
            folder / "buildah",
            registry=bench.platform.url.partition("//")[2],
            token=bench.platform.token,
            cache=folder.parent / "cache",
        )
        peer.pull(f"base/docker.io/library/{_BASE.partition(':')[0]}", bench.base)
        try:
            first, second = bench.pushed("flower", 1), bench.pushed("flower", 2)
            steps = ((first, times.first), (first, times.same), (second, times.changed))
            for tag, timed in steps[: 1 if warm else None]:
                timed.peer.append(peer.build(bench.bento(tag), tag))
                bench.build(tag, timed)
        finally:
            peer.close()


def _models(bench: Bench, times: Times) -> None:
    for size in _MODELS:
        machine.run(bench.client, "-c", _MODEL, f"big_{size}", str(size))
        tag = bench.pushed(f"large{size}", 0, model=f"big_{size}")
        bench.forget_peak()
        bench.build(tag, Timed())
        times.memory[size] = bench.peak()
    for number in range(_ROUNDS):
        tag = bench.pushed(f"another{number}", number, model=f"big_{_MODELS[0]}")
        bench.build(tag, times.model)


def _end_of(lines: Iterable[bytes]) -> dict[str, Any]:
    """What the build's stream of events says last."""
    event = b""
    for line in lines:
        if line.startswith(b"event: "):
            event = line.removeprefix(b"event: ").strip()
        elif line.startswith(b"data: ") and event == b"end":
            ended: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
            return ended
    raise machine.RunError("the stream of events ended before the build")


def _moment(view: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(view[name]).timestamp()
