"""The builder as the process it is, to be killed and started again beside a yard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from typing_extensions import override

from libs.chassis.bus import connect
from libs.chassis.postgres import Pool
from libs.chassis.process import leftovers, stop_leftovers
from tests.support import binaries
from tests.support.builder import Yard
from tests.support.nats import NatsServer
from tests.support.service_process import ServiceProcess, environment_of


@dataclass
class BuilderProcess(ServiceProcess):
    service: ClassVar[str] = "builder"
    pool: Pool = field(kw_only=True)
    marker: str = field(kw_only=True)

    @override
    async def start(self) -> None:
        """The lease of one that was killed is not waited for."""
        await self.pool.execute("UPDATE lease SET expires_at = now()")
        await super().start()

    def orphans(self) -> int:
        """Running tools of builds."""
        return len(leftovers(self.marker))


@asynccontextmanager
async def builder_process(
    yard: Yard, *, database_url: str, pool: Pool, nats: NatsServer, **settings: str
) -> AsyncIterator[BuilderProcess]:
    """Not started yet; on the folders, keys and registry of the yard, whose worker rests."""
    port, marker = binaries.free_port(), f"test-{yard.folder.name}:build"
    environment = environment_of(
        "builder",
        yard.folder / "keys",
        port=port,
        database_url=database_url,
        nats=nats,
        PEERS__REGISTRY=yard.registry_url,
        PEERS__DEPLOYER="http://127.0.0.1:9",
        ROOT=str(yard.folders.root),
        MARKER=marker,
        **settings,
    )
    for service in ("deployer", "registry"):
        async with await connect(nats.url(service), service) as bus:
            await bus.ensure_stream(service)
    made = BuilderProcess(
        environment,
        yard.folder / "builder.log",
        f"http://127.0.0.1:{port}",
        pool=pool,
        marker=marker,
    )
    try:
        yield made
    finally:
        made.kill()
        await stop_leftovers(leftovers(marker), grace=timedelta(0))
