"""Layers pushed and pulled by one plain client: our registry beside those that everybody has.

Debian's ``docker-registry`` and ``distribution`` are measured where they are on PATH. They answer
before their bytes are durable, so their times include a final ``sync``; ours does it before each
answer. They send files by sendfile; ours checks every byte that leaves.
"""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp

from bench import machine
from bench.report import Row, median
from cli.ports import free_pair
from libs.chassis.auth import Signer

_BIG: Final = int(os.environ.get("YOKOCHO_BENCH_MIB", "1024")) * 2**20
_SMALL: Final = 10**6
_COUNT: Final = 200
_AT_ONCE: Final = 4
_PIECE: Final = 2**20
_ROUNDS: Final = int(os.environ.get("YOKOCHO_BENCH_ROUNDS", "3"))
_CONFIG: Final = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """``headers`` are made anew for each request: identities live for a minute."""

    name: str
    url: str
    headers: Callable[[], dict[str, str]]
    durable: bool
    times: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """Made while it is sent, from ``seed``."""

    seed: bytes
    size: int
    digest: str


def measure() -> list[Row]:
    with machine.scratch() as folder, machine.platform(folder) as platform:
        home = folder / "home"
        told = json.loads((home / "home.json").read_text())
        signer = Signer("gateway", home / "keys" / "gateway.pem")
        org = UUID(_org(platform.url, platform.token))
        direct = f"http://127.0.0.1:{told['ports']['registry']}"

        def identity() -> dict[str, str]:
            token = signer.token("user:bench", audience="registry", org_id=org, org="default")
            return {"Authorization": f"Bearer {token}"}

        def token() -> dict[str, str]:
            return {"Authorization": f"Bearer {platform.token}"}

        ours = Server("registry", direct, identity, durable=True)
        edge = Server("gateway", platform.url, token, durable=True)
        with _peers(folder) as peers:
            for number in range(_ROUNDS):
                for server in (*peers, ours, edge):
                    asyncio.run(_round(server, number))
    return [row for peer in peers for row in _rows(ours, edge, peer)]


def _rows(ours: Server, edge: Server, peer: Server) -> Iterator[Row]:
    """Targets are ratios of times: half as fast is twice the time."""
    goals = {"push 1 big": 1.0, "push 200 small": 1 / 0.6, "pull 1 big": 2.0, "pull 200 small": 2.5}
    for server, factor in ((ours, 1), (edge, 2)):
        for what, goal in goals.items():
            value, limit = median(server.times[what]), median(peer.times[what])
            label = f"{what} by the {server.name}"
            yield Row(label, value, "s", limit, peer.name, goal * factor, _ROUNDS)


async def _round(server: Server, number: int) -> None:
    timeout = aiohttp.ClientTimeout(total=600)
    seed = f"{server.name} {number}".encode()
    async with aiohttp.ClientSession(server.url, timeout=timeout) as session:
        for what, sizes in (("1 big", [_BIG]), ("200 small", [_SMALL] * _COUNT)):
            blobs = [_content(seed + str(n).encode(), size) for n, size in enumerate(sizes)]
            machine.settle()
            begun = time.monotonic()
            await _all(_push(server, session, each) for each in blobs)
            if not server.durable:
                os.sync()
            server.times.setdefault(f"push {what}", []).append(time.monotonic() - begun)
            begun = time.monotonic()
            await _all(_pull(server, session, each) for each in blobs)
            server.times.setdefault(f"pull {what}", []).append(time.monotonic() - begun)


async def _all(work: Iterator[object]) -> None:
    waiting = list(work)

    async def lane() -> None:
        while waiting:
            await waiting.pop()  # type: ignore[misc]  # coroutines of two kinds

    async with asyncio.TaskGroup() as group:
        for _ in range(min(_AT_ONCE, len(waiting))):
            group.create_task(lane())


async def _push(server: Server, session: aiohttp.ClientSession, blob: Content) -> None:
    """As clients do: begin, one PATCH with everything, finish."""
    async with session.post("/v2/bench/blobs/uploads/", headers=server.headers()) as answer:
        where = _path(answer.headers["Location"])
    headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
    async with session.patch(
        where, data=_bytes(blob), headers=server.headers() | headers
    ) as answer:
        _require(answer, 202)
        where = _path(answer.headers["Location"])
    mark = "&" if "?" in where else "?"
    async with session.put(
        f"{where}{mark}digest={blob.digest}", headers=server.headers()
    ) as answer:
        _require(answer, 201)


async def _pull(server: Server, session: aiohttp.ClientSession, blob: Content) -> None:
    received = 0
    async with session.get(f"/v2/bench/blobs/{blob.digest}", headers=server.headers()) as answer:
        _require(answer, 200)
        async for piece in answer.content.iter_any():
            received += len(piece)
    if received != blob.size:
        raise machine.RunError(f"{server.name} gave {received} of {blob.size} bytes")


def _path(location: str) -> str:
    return "/" + location.partition("://")[2].partition("/")[2] if "://" in location else location


def _require(answer: aiohttp.ClientResponse, status: int) -> None:
    if answer.status != status:
        raise machine.RunError(f"{answer.method} {answer.url.path}: {answer.status}")


async def _bytes(blob: Content) -> AsyncIterator[bytes]:
    for piece in _pieces(blob.seed, blob.size):
        yield piece


def _pieces(seed: bytes, size: int) -> Iterator[bytes]:
    """Cheap to make, and never the same twice."""
    base = hashlib.shake_128(seed).digest(_PIECE)
    for number, at in enumerate(range(0, size, _PIECE)):
        yield (number.to_bytes(8, "big") + base[8:])[: size - at]


def _content(seed: bytes, size: int) -> Content:
    sha = hashlib.sha256()
    for piece in _pieces(seed, size):
        sha.update(piece)
    return Content(seed, size, f"sha256:{sha.hexdigest()}")


def _org(url: str, token: str) -> str:
    async def ask() -> str:
        headers = {"X-YATAI-API-TOKEN": token}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/api/v1/current_org", headers=headers) as answer,
        ):
            return str((await answer.json())["uid"])

    return asyncio.run(ask())


@contextmanager
def _peers(folder: Path) -> Iterator[list[Server]]:
    found: list[Server] = []
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, words in {
            "docker-registry": ["docker-registry", "serve"],
            "distribution": ["distribution", "serve"],
        }.items():
            if shutil.which(words[0]) is None:
                continue
            port = free_pair()
            config = folder / f"{name}.yml"
            config.write_text(_CONFIG.format(root=folder / name, port=port))
            with (folder / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen([*words, config], stdout=log, stderr=log))
            _until_listening(port)
            found.append(Server(name, f"http://127.0.0.1:{port}", dict, durable=False))
        if not found:
            raise machine.RunError("neither docker-registry nor distribution is on PATH")
        yield found
    finally:
        for each in running:
            each.terminate()
            each.wait()


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise machine.RunError("a registry does not listen")
