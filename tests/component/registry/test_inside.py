"""Versions are looked into where they lie: their files, one of them, and what has changed."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.blobs import CHUNK
from services.registry.service import inside
from tests.support.registry import (
    BENTOS,
    Served,
    archive_of,
    create,
    create_model,
    send,
)

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
    assert [each["path"] for each in first["items"]] == ["src/a/b.py"]
    assert first["next"]
    _, rest = await send(session, "GET", f"{IRIS}/v1/files?prefix=src&cursor={first['next']}")
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
    async with session.head(f"{IRIS}/v1/files/w") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(BIG)))
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


async def test_services_of_a_bento_and_what_they_need(session: aiohttp.ClientSession) -> None:
    services = [
        {"name": "Gate", "dependencies": [{"service": "Model"}], "models": [{"tag": "clf:1"}]},
        {"name": "Model", "dependencies": ["Older"], "models": [], "config": {"envs": ["x"]}},
        "no service",
    ]
    await push(session, "v1", packed("v1"), services=services, entry_service="Gate")
    _, seen = await send(session, "GET", f"{IRIS}/v1")
    assert seen["services"] == [
        {"name": "Gate", "is_entry": True, "models": ["clf:1"], "dependencies": ["Model"]},
        {"name": "Model", "is_entry": False, "models": [], "dependencies": ["Older"]},
    ]


async def test_older_clients_say_the_environment_in_the_archive_only(
    session: aiohttp.ClientSession,
) -> None:
    files = {"env/python/version.txt": b"3.9.18\n", "env/python/requirements.txt": b"numpy\n"}
    await push(session, "v1", packed("v1", **files))
    files["env/python/requirements.lock.txt"] = b"numpy==2.0 \\\n  --hash=sha256:00\n"
    await push(session, "v2", packed("v2", **files))
    for version, packages in (("v1", {"numpy": ""}), ("v2", {"numpy": "2.0"})):
        _, seen = await send(session, "GET", f"{IRIS}/{version}")
        assert seen["environment"]["python_version"] == "3.9.18"
        assert seen["environment"]["packages"] == packages
    _, seen = await send(session, "GET", f"{IRIS}/v1/diff?to=v2")
    assert seen["packages"]["changed"] == {"numpy": {"before": "", "after": "2.0"}}


async def test_a_version_without_bytes_says_what_it_can(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")
    status, seen = await send(session, "GET", f"{IRIS}/v1")
    assert (status, seen["upload_status"], seen["digest"]) == (200, "pending", None)
    assert seen["environment"]["packages"] == {}
    status, problem = await send(session, "GET", f"{IRIS}/v1/files")
    assert (status, problem["type"]) == (409, "/problems/version-not-uploaded")


async def test_models_are_looked_into_alike(session: aiohttp.ClientSession) -> None:
    for version, accuracy in (("v1", 0.9), ("v2", 0.95)):
        path = await create_model(session, version, metadata={"accuracy": accuracy})
        content = archive_of(f"{path}/upload")
        assert (await send(session, "PUT", f"{path}/upload", content))[0] == 200
    models = "/api/registry/models/iris/versions"
    _, seen = await send(session, "GET", f"{models}/latest")
    assert (seen["version"], seen["manifest"]["metadata"]) == ("v2", {"accuracy": 0.95})
    _, seen = await send(session, "GET", f"{models}/v1/files?prefix=./src/")
    assert [each["path"] for each in seen["items"]] == ["src/weights"]
    assert (await send(session, "GET", f"{models}/v1/files/src/weights")) == (200, b"x")
    _, seen = await send(session, "GET", f"{models}/v1/diff?to=v2")
    assert seen["files"]["changed"] == ["model.yaml"]
    assert seen["metadata"]["changed"] == {"accuracy": {"before": 0.9, "after": 0.95}}
    assert (seen["packages"]["changed"], seen["api"]) == ({}, [])


@pytest.mark.parametrize(
    ("headers", "status", "first", "last"),
    [
        ({"Range": "bytes=2-4"}, 206, 2, 4),
        ({"Range": "bytes=-3"}, 206, 97, 99),
        ({"Range": "bytes=2-4", "If-Range": '"other"'}, 200, 0, 99),
        ({"Range": "bytes=100-"}, 416, 0, -1),
    ],
)
async def test_a_range_is_of_the_file_and_never_of_its_neighbours(
    session: aiohttp.ClientSession, headers: dict[str, str], *, status: int, first: int, last: int
) -> None:
    await push(session, "v1", packed("v1", a=b"a" * 512, b=BIG[:100], c=b"c" * 512))
    async with session.get(f"{IRIS}/v1/files/b", headers=headers) as answer:
        body = await answer.read()
        etag = answer.headers["ETag"]
    assert (answer.status, body) == (status, BIG[first : last + 1])
    async with session.get(f"{IRIS}/v1/files/b", headers={**headers, "If-Range": etag}) as again:
        assert again.status == (416 if status == 416 else 206)


async def test_one_big_file_does_not_keep_the_small_ones_from_being_compared(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inside, "_READ", 2 * CHUNK)
    for version, small in (("v1", b"1"), ("v2", b"2")):
        files = {"a_big": BIG, "b_big": BIG, "z_same": b"s", "z_small": small}
        await push(session, version, packed(version, **files))
    _, seen = await send(session, "GET", f"{IRIS}/v1/diff?to=v2")
    assert seen["files"]["changed"] == ["bento.yaml", "z_small"]
    assert seen["files"]["unknown"] == ["a_big", "b_big"]
    _, seen = await send(session, "GET", f"{IRIS}/v1/diff?to=v1")
    assert (seen["files"]["changed"], seen["files"]["unknown"]) == ([], []), "the same bytes"


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
    assert seen["packages"]["changed"] == {"numpy": {"before": "2.0", "after": "2.1"}}
    assert seen["packages"]["removed"] == {"old": "1"}
    assert seen["api"] == [
        {"route": "/quad", "breaking": True, "reason": "the output was integer and is string"}
    ]
    assert seen["metadata"]["changed"] == {"accuracy": {"before": 0.9, "after": 0.95}}
    assert seen["labels"]["changed"] == {"team": {"before": "v1", "after": "v2"}}
    assert (await send(session, "GET", f"{IRIS}/v1/diff"))[0] == 422
    assert (await send(session, "GET", f"{IRIS}/v1/diff?to=v9"))[0] == 404
