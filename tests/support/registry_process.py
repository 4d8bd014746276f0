"""The registry as a process of its own, to be killed and started again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from libs.chassis.auth import Signer, generate_keys
from tests.support import binaries
from tests.support.nats import NatsServer
from tests.support.registry import ORG, PERSON

_PREFIX: Final = "YOKOCHO_REGISTRY_"


@dataclass
class RegistryProcess:
    environment: dict[str, str]
    log: Path
    url: str
    folder: Path
    signer: Signer
    process: "subprocess.Popen[bytes] | None" = None

    async def start(self) -> None:
        """Until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.registry"],
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

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """As the gateway calls for somebody; good for a minute."""
        token = self.signer.token(
            "user:1", audience="registry", org_id=ORG, org="default", person=PERSON
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(self.url, headers=headers) as opened:
            yield opened


@asynccontextmanager
async def registry_process(
    folder: Path, *, database_url: str, nats: NatsServer, **settings: str
) -> AsyncIterator[RegistryProcess]:
    """Not started yet."""
    generate_keys(folder / "keys", ["registry", "gateway"])
    port = binaries.free_port()
    told = {
        "POSTGRES__DSN": database_url,
        "BUS__URL": nats.url("registry"),
        "HTTP__PORT": str(port),
        "IDENTITY__KEY_FILE": str(folder / "keys" / "registry.pem"),
        "IDENTITY__PUBLIC_KEYS_FILE": str(folder / "keys" / "public.json"),
        "PEERS__DEPLOYER": "http://127.0.0.1:9",
        **({} if "BLOBS__S3__BUCKET" in settings else {"BLOBS__ROOT": str(folder / "blobs")}),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        **settings,
    }
    environment = {f"{_PREFIX}{name}": value for name, value in told.items()}
    made = RegistryProcess(
        {"PATH": os.environ["PATH"]} | environment,
        folder / "registry.log",
        f"http://127.0.0.1:{port}",
        folder,
        Signer("gateway", folder / "keys" / "gateway.pem"),
    )
    try:
        yield made
    finally:
        made.kill()
