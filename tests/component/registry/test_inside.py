"""Versions are looked into where they lie: their files, one of them, and what has changed."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.blobs import CHUNK
from libs.chassis.postgres import Pool
from tests.support.registry import BENTOS, Served, create, send, served

IRIS = "/api/registry/bentos/iris/versions"
BIG = bytes(range(256)) * (3 * CHUNK // 256)


def packed(version: str, **files: bytes) -> bytes:
    out = io.BytesIO()
    described = {"bento.yaml": f"name: iris\nversion: {version}\n".encode()}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("./")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(folder)
        for path, content in {**described, **files}.items():
            info = tarfile.TarInfo(f"./{path}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("./latest")
        link.type, link.linkname = tarfile.SYMTYPE, "bento.yaml"
        tar.addfile(link)
    return out.getvalue()


@pytest.fixture
async def registry(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(pool, tmp_path / "blobs") as it:
        yield it


@pytest.fixture
async def session(registry: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(registry.url) as opened:
        yield opened


async def push(
    session: aiohttp.ClientSession, version: str, content: bytes, **manifest: object
) -> None:
    await create(session, version, **manifest)
    assert (await send(session, "PUT", f"{BENTOS}/{version}/upload", content))[0] == 200


async def test_the_files_of_a_version(session: aiohttp.ClientSession) -> None:
    files = {"src/weights": BIG, "src/a/b.py": b"print()", "readme": b""}
    await push(session, "v1", packed("v1", **files))
    status, seen = await send(session, "GET", f"{IRIS}/v1/files")
    assert status == 200, seen
    assert [(each["path"], each["kind"], each["size_bytes"]) for each in seen["items"]] == [
        ("bento.yaml", "file", 23),
        ("latest", "link", 0),
        ("readme", "file", 0),
        ("src/a/b.py", "file", 7),
        ("src/weights", "file", len(BIG)),
    ]
    assert seen["items"][1]["target"] == "bento.yaml"
    _, first = await send(session, "GET", f"{IRIS}/latest/files?prefix=src/&count=1")
    assert [each["path"] for each in first["items"]] == ["src/a/b.py"] == [first["next"]]
    _, rest = await send(session, "GET", f"{IRIS}/v1/files?prefix=src&after={first['next']}")
    assert ([each["path"] for each in rest["items"]], rest["next"]) == (["src/weights"], None)


async def test_one_file_and_ranges_of_it(session: aiohttp.ClientSession) -> None:
    await push(session, "v1", packed("v1", **{"src/page.html": b"<script>", "w": BIG, "e": b""}))
    async with session.get(f"{IRIS}/v1/files/src/page.html") as answer:
        assert await answer.read() == b"<script>"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    at = 2 * CHUNK - 5
    headers = {"Range": f"bytes={at}-{at + 9}"}
    async with session.get(f"{IRIS}/v1/files/w", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (206, BIG[at : at + 10])
    assert await send(session, "GET", f"{IRIS}/v1/files/w") == (200, BIG)
    assert await send(session, "GET", f"{IRIS}/v1/files/e") == (200, b"")
    for missing in ("nope", "latest", "src"):
        status, problem = await send(session, "GET", f"{IRIS}/v1/files/{missing}")
        assert (status, problem["type"]) == (404, "/problems/file-not-found")


async def test_a_damaged_file_is_not_served_from_inside_either(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await push(session, "v1", packed("v1", w=BIG))
    await send(session, "GET", f"{IRIS}/v1/files")
    [stored] = (each for each in (tmp_path / "blobs/sha256").rglob("*") if each.is_file())
    content = bytearray(stored.read_bytes())
    content[CHUNK + 7] ^= 1
    stored.write_bytes(content)
    headers = {"Range": f"bytes={CHUNK}-{CHUNK + 99}"}
    async with session.get(f"{IRIS}/v1/files/w", headers=headers) as answer:
        assert answer.status == 503


async def test_another_organisation_sees_nothing(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    await push(session, "v1", packed("v1"))
    async with aiohttp.ClientSession(registry.url, headers={"X-Test-Org": "2"}) as stranger:
        for path in ("", "/files", "/files/bento.yaml", "/diff?to=v1"):
            assert (await send(stranger, "GET", f"{IRIS}/v1{path}"))[0] == 404


async def test_what_a_bento_says_of_itself(session: aiohttp.ClientSession) -> None:
    route = {"route": "/quad", "input": {"type": "object"}, "output": {"type": "integer"}}
    image = {"python_version": "3.11", "python_requirements": "a2wsgi==1.10.8\n", "commands": []}
    envs = [{"name": "TOKEN", "value": "secret"}]
    await push(session, "v1", packed("v1"), schema={"routes": [route]}, image=image, envs=envs)
    await send(
        session,
        "PUT",
        "/api/registry/bentos/iris/aliases/live",
        {"version": "v1", "expected": None},
    )
    _, seen = await send(session, "GET", f"{IRIS}/@live")
    assert (seen["version"], seen["aliases"]) == ("v1", ["live"])
    assert seen["routes"]["/quad"]["output"] == {"type": "integer"}
    assert seen["environment"]["packages"] == {"a2wsgi": "1.10.8"}
    assert seen["environment"]["envs"] == ["TOKEN"]
    assert "secret" not in json.dumps(seen["environment"])


async def test_what_changed_from_one_version_to_the_next(session: aiohttp.ClientSession) -> None:
    def described(requirements: str, output: str, accuracy: float) -> dict[str, Any]:
        route = {"route": "/quad", "input": {}, "output": {"type": output}}
        return {
            "schema": {"routes": [route]},
            "image": {"python_requirements": requirements},
            "metadata": {"accuracy": accuracy},
        }

    await push(
        session,
        "v1",
        packed("v1", same=b"s", gone=b"g", src=b"1"),
        **described("numpy==2.0\nold==1\n", "integer", 0.9),
    )
    await push(
        session,
        "v2",
        packed("v2", same=b"s", new=b"n", src=b"2"),
        **described("numpy==2.1\n", "string", 0.95),
    )
    status, seen = await send(session, "GET", f"{IRIS}/v1/diff?to=v2")
    assert status == 200, seen
    assert seen["files"] == {
        "added": ["new"],
        "removed": ["gone"],
        "changed": ["bento.yaml", "src"],
        "unknown": [],
    }
    assert seen["packages"]["changed"] == {"numpy": {"from": "2.0", "to": "2.1"}}
    assert seen["packages"]["removed"] == {"old": "1"}
    assert seen["api"] == [
        {"route": "/quad", "breaking": True, "reason": "the output was integer and is string"}
    ]
    assert seen["metadata"]["changed"] == {"accuracy": {"from": 0.9, "to": 0.95}}
    assert seen["labels"]["changed"] == {"team": {"from": "v1", "to": "v2"}}
    assert (await send(session, "GET", f"{IRIS}/v1/diff"))[0] == 422
    assert (await send(session, "GET", f"{IRIS}/v1/diff?to=v9"))[0] == 404
