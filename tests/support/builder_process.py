"""The builder as the process it is, to be killed and started again beside a yard."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp

from libs.chassis.bus import connect
from libs.chassis.postgres import Pool
from libs.chassis.process import leftovers, stop_leftovers
from tests.support import binaries
from tests.support.builder import Yard
from tests.support.nats import NatsServer

_PREFIX: Final = "YOKOCHO_BUILDER_"


@dataclass
class BuilderProcess:
    environment: dict[str, str]
    log: Path
    url: str
    pool: Pool
    marker: str
    process: "subprocess.Popen[bytes] | None" = None

    async def start(self) -> None:
        """Until it is ready. The lease of one that was killed is not waited for."""
        await self.pool.execute("UPDATE lease SET expires_at = now()")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.builder"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                try:
                    async with session.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def orphans(self) -> int:
        """Running tools of builds."""
        return len(leftovers(self.marker))


@asynccontextmanager
async def builder_process(
    yard: Yard, *, database_url: str, pool: Pool, nats: NatsServer, **settings: str
) -> AsyncIterator[BuilderProcess]:
    """Not started yet; on the folders, keys and registry of the yard, whose worker rests."""
    port, marker = binaries.free_port(), f"test-{yard.folder.name}:build"
    keys = yard.folder / "keys"
    told = {
        "POSTGRES__DSN": database_url,
        "BUS__URL": nats.url("builder"),
        "HTTP__PORT": str(port),
        "IDENTITY__KEY_FILE": str(keys / "builder.pem"),
        "IDENTITY__PUBLIC_KEYS_FILE": str(keys / "public.json"),
        "PEERS__REGISTRY": yard.registry_url,
        "PEERS__DEPLOYER": "http://127.0.0.1:9",
        "ROOT": str(yard.folders.root),
        "MARKER": marker,
        **settings,
    }
    for service in ("deployer", "registry"):
        async with await connect(nats.url(service), service) as bus:
            await bus.ensure_stream(service)
    made = BuilderProcess(
        {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
        | {f"{_PREFIX}{name}": value for name, value in told.items()},
        yard.folder / "builder.log",
        f"http://127.0.0.1:{port}",
        pool,
        marker,
    )
    try:
        yield made
    finally:
        made.kill()
        await stop_leftovers(leftovers(marker), grace=timedelta(0))
