"""The local target with real processes: a server that behaves as BentoML's does, and misbehaves."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from libs.chassis.isolation import Isolation
from libs.chassis.postgres import Pool
from libs.chassis.process import leftovers, stop_leftovers
from services.deployer.domain.deployment import Replica
from services.deployer.domain.resources import Resources
from services.deployer.plan import Phase, Seen
from services.deployer.targets import (
    Enforcement,
    Folders,
    Launch,
    LocalTarget,
    Policy,
    Ports,
    Probes,
    Watch,
)
from services.deployer.targets.probes import open_probes
from tests.support.deployer_process import DeployerProcess, deployer_process
from tests.support.loops import running
from tests.support.nats import NatsServer

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

    def start(
        self,
        replica: Replica,
        behaviour: str = "",
        files: tuple[tuple[str, str], ...] = (),
        resources: Resources = Resources(),  # noqa: B008 - it never changes
        **envs: str,
    ) -> None:
        self.target.start(
            Launch(
                replica=replica,
                image_uri=self.image.as_uri(),
                needs={},
                envs=(("BEHAVIOUR", behaviour), *envs.items()),
                overrides={},
                files=files,
                resources=resources,
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


def lane_in(
    root: Path,
    image: Path,
    probes: Probes,
    *,
    start: float = 20,
    isolation: Isolation = Isolation(),  # noqa: B008 - it never changes
    enforcement: Enforcement = Enforcement(),  # noqa: B008 - the same
) -> Lane:
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
        isolation=isolation,
        enforcement=enforcement,
    )
    return Lane(target, folders, image, woken)


def image_at(home: Path, program: Path) -> Path:
    """As the builder makes it: the environment is beside it and links to an interpreter."""
    image, environment = home / "builder/images/own", home / "builder/environments/own"
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    package = environment / packages / "bentoml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(program, package / "__main__.py")
    interpreter = Path(sys.executable).resolve()
    (environment / "bin").mkdir()
    (environment / "bin/python").symlink_to(interpreter)
    (environment / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
    (image / "bento").mkdir(parents=True)
    (image / "environment").symlink_to("../../environments/own")
    return image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image whose BentoML is the pretended server."""
    return image_at(tmp_path, SERVER)


@pytest.fixture
async def lane(tmp_path: Path, image: Path) -> AsyncIterator[Lane]:
    async with open_probes() as probes:
        made = lane_in(tmp_path / "root", image, probes)
        async with running(made.target.run):
            yield made
        await stop_leftovers(leftovers(f"{MARKER}-{tmp_path.name}"), grace=timedelta(0))


@pytest.fixture
async def deployer(
    tmp_path: Path, image: Path, database_url: str, pool: Pool, nats_server: NatsServer
) -> AsyncIterator[DeployerProcess]:
    async with deployer_process(
        tmp_path, image=image, database_url=database_url, pool=pool, nats=nats_server
    ) as made:
        made.launch()
        yield made
