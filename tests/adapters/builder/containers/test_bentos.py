"""A real bento's own Dockerfile: built as nobody, and what comes out of it serves."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from services.builder.containers import DEFAULT_COMMANDS, Limits, Recipe
from tests.support.bentoml_client import client_python
from tests.support.bentos import Client, source
from tests.support.binaries import free_port
from tests.support.buildah import Image, started

SERVICE = """
import subprocess
from pathlib import Path

import bentoml

image = (
    bentoml.images.Image(python_version="3.11")
    .system_packages("hello")
    .run("echo said by a command > /said")
)


@bentoml.service(name="greeter", workers=1, image=image)
class Greeter:
    @bentoml.api
    def greet(self) -> list[str]:
        hello = subprocess.run(["hello"], capture_output=True, text=True, check=True)
        return [hello.stdout.strip(), Path("/said").read_text().strip()]
"""

_SERVE = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot '
    '--userspec=1034:1034 "$0" env -i HOME=/home/bentoml "$@"'
)
BUNDLE = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")


@pytest.mark.soak
@pytest.mark.timeout(500)
@pytest.mark.skipif(os.geteuid() != 0, reason="its root file system is entered with chroot")
async def test_a_bento_with_system_packages_and_a_command_is_built_and_answers(
    tmp_path: Path, base_layout: Path
) -> None:
    client = Client(client_python("1.4"), tmp_path / "home")
    tag = client.build(source(tmp_path / "source", SERVICE))
    bento = client.home / "bentos" / tag.replace(":", "/")
    dockerfile = bento / "env" / "docker" / "Dockerfile"
    recipe = Recipe(bento, dockerfile, base_layout, drop=DEFAULT_COMMANDS)
    lines: list[str] = []
    begin = time.monotonic()
    async with started(tmp_path / "root", ca_bundle=BUNDLE) as buildah:
        into = tmp_path / "image"
        await buildah.build(recipe, into=into, log=lines.append, limits=Limits(400))
    print(f"built in {time.monotonic() - begin:.1f} s")
    image = Image(into)
    image.unpack(tmp_path / "rootfs")
    async with (
        _serving(image, tmp_path / "rootfs") as url,
        aiohttp.ClientSession() as http,
        http.post(f"{url}/greet", json={}) as response,
    ):
        assert await response.json() == ["Hello, world!", "said by a command"]


@asynccontextmanager
async def _serving(image: Image, rootfs: Path) -> AsyncIterator[str]:
    """As a runtime would: the image's environment, user, folder and entrypoint."""
    (rootfs / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    config = image.config["config"]
    port = free_port()
    env = [*config["Env"], f"BENTOML_PORT={port}", "BENTOML_DO_NOT_TRACK=True"]
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', config["WorkingDir"], *config["Entrypoint"]]
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SERVE]
    with subprocess.Popen([*argv, str(rootfs), *env, *inside, "serve"]) as process:
        try:
            await _ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def _ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            assert process.poll() is None, "it ended"
            try:
                async with http.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
