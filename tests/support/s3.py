"""An S3 server per session, and a bucket per test."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from libs.chassis.blobs.s3open import client_of
from libs.chassis.blobs.settings import S3Settings
from tests.support import binaries

URL: Final = "TEST_S3_URL"
_KEY: Final = "yokocho"


@dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str

    def settings(self, bucket: str) -> S3Settings:
        return S3Settings(
            bucket=bucket,
            endpoint=self.endpoint,
            access_key=SecretStr(_KEY),
            secret_key=SecretStr(_KEY),
            addressing="path",
        )

    async def bucket(self) -> S3Settings:
        made = self.settings(f"test-{uuid7().hex}")
        async with client_of(made, made.endpoint) as client:
            await client.create_bucket(Bucket=made.bucket)
        return made


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """A given one, else SeaweedFS' from the development requirements."""
    if given := os.environ.get(URL):
        yield S3Server(given)
        return
    keys = {"accessKey": _KEY, "secretKey": _KEY}
    identity = {"name": _KEY, "credentials": [keys], "actions": ["Admin"]}
    configured = folder / "s3.json"
    configured.write_text(json.dumps({"identities": [identity]}))
    port = binaries.free_port_below_its_twin()
    with started(folder, port, configured):
        yield S3Server(f"http://127.0.0.1:{port}")


@contextmanager
def started(folder: Path, port: int, configured: Path, bucket: str = "") -> Iterator[None]:
    """A server that knows the keys of ``configured``."""
    weed = binaries.s3_server()
    if weed is None:
        pytest.skip(f"no S3 server: neither {URL} nor `weed` is here")
    data = folder / "s3-data"
    data.mkdir()
    command = [*_command(weed, folder, data, port), f"-s3.config={configured}"]
    if bucket:
        command.append(f"-bucket={bucket}")
    program = binaries.Program(command, folder / "weed.log")
    program.start(lambda: _answers(port))
    try:
        yield
    finally:
        program.stop(signal.SIGKILL)  # its polite end takes three seconds, and nothing must last
        shutil.rmtree(data, ignore_errors=True)


def _answers(port: int) -> bool:
    """Any refusal is an answer. The store takes writes a moment later: its volumes are tried."""
    try:
        urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
    return True


def _command(weed: Path, folder: Path, data: Path, port: int) -> list[str]:
    master, volume, filer, admin = (binaries.free_port_below_its_twin() for _ in range(4))
    return [
        "env",
        "GOMEMLIMIT=400MiB",
        str(weed),
        f"-logdir={folder}",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.iam=false",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-master.port={master}",
        f"-volume.port={volume}",
        "-volume.max=5000",  # else as many as the free disk holds, and each bucket takes seven
        f"-filer.port={filer}",
        f"-admin.port={admin}",
    ]
