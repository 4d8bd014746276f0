"""Looking into versions through the gateway: any name a file has, and as a stream."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from libs.chassis.blobs import CHUNK
from tests.support.edge import OURS, Gateway, Surroundings
from tests.support.images import registry_behind
from tests.support.postgres import PostgresServer
from tests.support.registry import BENTOS, create, create_model, send

KINDS = ("bento", "model")
BIG = bytes(range(1, 256)) * (2 * CHUNK // 255)
NAMES = [
    "src/a b#c?d.txt",
    "100%",
    "%41",
    "ü/😀",
    "semi;colon",
    "a+b&c=d",
    "x/" * 80 + "deep",
    "big",
]


def archive(kind: str, version: str, contents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    described = {f"{kind}.yaml": f"name: iris\nversion: {version}\n".encode()}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in {**described, **contents}.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
async def session(
    around: Surroundings, postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        registry_behind(around, postgres_server, tmp_path / "blobs"),
        around.gateway() as gateway,
        _client(gateway) as session,
    ):
        yield session


def _client(gateway: Gateway) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(gateway.api, headers=OURS)


async def pushed(
    session: aiohttp.ClientSession, kind: str, version: str, contents: dict[str, bytes]
) -> str:
    """Where it is looked into."""
    if kind == "model":
        path = await create_model(session, version)
    else:
        await create(session, version)
        path = f"{BENTOS}/{version}"
    status, seen = await send(session, "PUT", f"{path}/upload", archive(kind, version, contents))
    assert status == 200, seen
    return f"/api/registry/{kind}s/iris/versions/{version}"


async def get(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, bytes]:
    """Of a path that is encoded already."""
    async with session.get(URL(path, encoded=True), headers=headers) as answer:
        return answer.status, await answer.read()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_way_of_looking_in_passes(session: aiohttp.ClientSession, kind: str) -> None:
    contents = {name: BIG if name == "big" else name.encode() for name in NAMES}
    one = await pushed(session, kind, "v1", contents)
    await pushed(session, kind, "v2", {"big": BIG})
    status, shown = await send(session, "GET", one)
    assert (status, shown["version"]) == (200, "v1")
    _, listed = await send(session, "GET", f"{one}/files?count=2")
    found: list[dict[str, Any]] = listed["items"]
    while listed["next"]:
        status, page = await get(session, f"{one}/files?count=2&cursor={listed['next']}")
        assert status == 200
        listed = json.loads(page)
        found += listed["items"]
    assert [each["path"] for each in found] == sorted([*NAMES, f"{kind}.yaml"])
    for name, content in contents.items():
        assert await get(session, f"{one}/files/{quote(name)}") == (200, content), name
    assert await get(session, f"{one}/files/big", Range=f"bytes={CHUNK - 2}-{CHUNK + 1}") == (
        206,
        BIG[CHUNK - 2 : CHUNK + 2],
    )
    status, changes = await send(session, "GET", f"{one}/diff?to=v2")
    assert (status, changes["files"]["changed"]) == (200, [f"{kind}.yaml"])
    assert len(changes["files"]["removed"]) == len(NAMES) - 1


async def test_nobody_looks_in_without_a_token_or_up_with_dots(
    session: aiohttp.ClientSession,
) -> None:
    one = await pushed(session, "bento", "v1", {"a": b"a"})
    for path in (one, f"{one}/files", f"{one}/files/a", f"{one}/diff?to=v1"):
        status, _ = await get(session, path, **dict.fromkeys(OURS, "yok_wrong"))
        assert status == 401
    for path in ("..%2f..%2fa", "a%2f..%2fa", "a%5cb"):
        status, problem = await get(session, f"{one}/files/{path}")
        assert status == 422, path
        assert b"target-ambiguous" in problem
