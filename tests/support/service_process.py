"""A service as the process it is, to be killed and started again."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import aiohttp

from tests.support.nats import NatsServer


@dataclass
class ServiceProcess:
    service: ClassVar[str]
    environment: dict[str, str]
    log: Path
    url: str
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.service}"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    async def start(self) -> None:
        """Until it is ready."""
        self.launch()
        assert self.process is not None
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


def environment_of(
    service: str, keys: Path, *, port: int, database_url: str, nats: NatsServer, **settings: str
) -> dict[str, str]:
    told = {
        "POSTGRES__DSN": database_url,
        "BUS__URL": nats.url(service),
        "HTTP__PORT": str(port),
        "IDENTITY__KEY_FILE": str(keys / f"{service}.pem"),
        "IDENTITY__PUBLIC_KEYS_FILE": str(keys / "public.json"),
        **settings,
    }
    names = {f"YOKOCHO_{service.upper()}_{name}": value for name, value in told.items()}
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **names}
