"""The registry as a process of its own, to be killed and started again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import aiohttp

from libs.chassis.auth import Signer, generate_keys
from tests.support import binaries
from tests.support.nats import NatsServer
from tests.support.registry import ORG, PERSON
from tests.support.service_process import ServiceProcess, environment_of


@dataclass
class RegistryProcess(ServiceProcess):
    service: ClassVar[str] = "registry"
    folder: Path = field(kw_only=True)
    signer: Signer = field(kw_only=True)

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
    environment = environment_of(
        "registry",
        folder / "keys",
        port=port,
        database_url=database_url,
        nats=nats,
        PEERS__DEPLOYER="http://127.0.0.1:9",
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        **({} if "BLOBS__S3__BUCKET" in settings else {"BLOBS__ROOT": str(folder / "blobs")}),
        **settings,
    )
    made = RegistryProcess(
        environment,
        folder / "registry.log",
        f"http://127.0.0.1:{port}",
        folder=folder,
        signer=Signer("gateway", folder / "keys" / "gateway.pem"),
    )
    try:
        yield made
    finally:
        made.kill()
