"""The local target with real processes: a server that behaves as BentoML's does, and misbehaves."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from libs.chassis.process import leftovers, stop_leftovers
from services.deployer.domain.deployment import Replica
from services.deployer.plan import Phase, Seen
from services.deployer.targets import Folders, Launch, LocalTarget, Policy, Ports, Probes, Watch
from services.deployer.targets.probes import open_probes
from tests.support.loops import running

SERVER = Path(__file__).parent.parent.parent / "data" / "deployer" / "server.py"
MARKER = "test-home"


@dataclass
class Lane:
    """A target and what the test has put into it."""

    target: LocalTarget
    folders: Folders
    image: Path
    woken: list[UUID]
    deployment_id: UUID = field(default_factory=uuid7)

    def replica(self, service: str = "Gate") -> Replica:
        port = self.target.choose_port(set())
        return Replica(uuid7(), self.deployment_id, uuid7(), service, 0, port)

    def start(self, replica: Replica, behaviour: str = "", **envs: str) -> None:
        self.target.start(
            Launch(
                replica=replica,
                image_uri=self.image.as_uri(),
                needs={},
                envs=(("BEHAVIOUR", behaviour), *envs.items()),
                overrides={},
            )
        )

    async def look(self, replica: Replica) -> Seen:
        [seen] = await self.target.observe([Watch(replica, "/readyz", "/livez")])
        return seen

    async def until(
        self, replica: Replica, condition: Callable[[Seen], bool], *, seconds: float = 20
    ) -> Seen:
        async with asyncio.timeout(seconds):
            while True:
                seen = await self.look(replica)
                if condition(seen):
                    return seen
                await asyncio.sleep(0.05)

    async def ready(self, replica: Replica) -> None:
        await self.until(replica, lambda seen: seen.phase is Phase.READY)


def lane_in(root: Path, image: Path, probes: Probes, *, start: float = 20) -> Lane:
    woken: list[UUID] = []
    folders = Folders(root)
    policy = Policy(
        start=timedelta(seconds=start), grace=timedelta(seconds=5), probe=timedelta(seconds=0.2)
    )
    target = LocalTarget(
        folders,
        marker=f"{MARKER}-{root.parent.name}:deployment",
        ports=Ports(26000, 26999, start=abs(hash(root))),
        probes=probes,
        policy=policy,
        woken=woken.append,
    )
    return Lane(target, folders, image, woken)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image whose interpreter is the pretended server."""
    image = tmp_path / "image"
    (image / "bento").mkdir(parents=True)
    program = image / "environment" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {SERVER} "$@"\n')
    program.chmod(0o755)
    return image


@pytest.fixture
async def lane(tmp_path: Path, image: Path) -> AsyncIterator[Lane]:
    async with open_probes() as probes:
        made = lane_in(tmp_path / "root", image, probes)
        async with running(made.target.run):
            yield made
        await stop_leftovers(leftovers(f"{MARKER}-{tmp_path.name}"), grace=timedelta(0))
