"""A big archive sent by signed URLs: to us with a bucket behind, and straight to that bucket.

Both send the same bytes by the same client to the same S3 server. What ours takes longer is the
copy (of one PUT), the reading back and the hashing, until the version may be seen. What the
registry's memory grows by is measured beside it.
"""

import asyncio
import hashlib
import io
import os
import tarfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from bench import machine
from bench.report import Row, median
from libs.chassis.blobs.s3open import client_of, open_s3
from libs.chassis.blobs.settings import S3Settings
from tests.support import nats, postgres, s3
from tests.support.registry_process import RegistryProcess, registry_process

_MIB: Final = int(os.environ.get("YOKOCHO_BENCH_MIB", "1024"))
_ROUNDS: Final = int(os.environ.get("YOKOCHO_BENCH_ROUNDS", "3"))
_PART: Final = 100 * 2**20
_AT_ONCE: Final = 4
_PIECE: Final = 2**20
_TOP: Final = "/api/v1/model_repositories"
_HOUR: Final = timedelta(hours=1)


class Archive:
    """A model's archive, made while it is sent."""

    def __init__(self, version: str) -> None:
        out = io.BytesIO()
        described = f"name: big\nversion: {version}\n".encode()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("./model.yaml")
            info.size = len(described)
            tar.addfile(info, io.BytesIO(described))
            big = tarfile.TarInfo("./weights")
            big.size = _MIB * 2**20
            tar.addfile(big)
        # What tarfile pads the end with comes after the content.
        self._head = out.getvalue()[: 512 * 3]
        self._tail = bytes(1024)
        self.size = len(self._head) + _MIB * 2**20 + len(self._tail)

    def part(self, first: int, size: int) -> bytes:
        """Any piece of it."""
        found, at = bytearray(), first
        while len(found) < min(size, self.size - first):
            if at < len(self._head):
                found += self._head[at:]
            elif at < self.size - len(self._tail):
                number = (at - len(self._head)) // _PIECE
                within = (at - len(self._head)) % _PIECE
                found += _piece(number)[within:]
            else:
                found += self._tail[at - (self.size - len(self._tail)) :]
            at = first + len(found)
        return bytes(found[: min(size, self.size - first)])

    async def send(self, first: int, size: int) -> AsyncIterator[bytes]:
        end = min(first + size, self.size)
        for at in range(first, end, _PIECE):
            yield self.part(at, min(_PIECE, end - at))


def _piece(number: int) -> bytes:
    return (hashlib.sha256(str(number).encode()).digest() * (_PIECE // 32))[:_PIECE]


def measure() -> list[Row]:
    with machine.scratch() as folder:
        return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> list[Row]:
    for each in ("pg", "nats", "s3", "registry"):
        (folder / each).mkdir()
    with (
        postgres.running(folder / "pg") as server,
        nats.running(folder / "nats") as bus,
        s3.running(folder / "s3") as bucket,
    ):
        straight, ours = await bucket.bucket(), await bucket.bucket()
        told = {
            f"BLOBS__S3__{name}": value
            for name, value in {
                "ENDPOINT": ours.endpoint or "",
                "BUCKET": ours.bucket,
                "ACCESS_KEY": ours.access_key.get_secret_value() if ours.access_key else "",
                "SECRET_KEY": ours.secret_key.get_secret_value() if ours.secret_key else "",
                "ADDRESSING": "path",
            }.items()
        }
        async with (
            server.database("registry") as url,
            registry_process(folder / "registry", database_url=url, nats=bus, **told) as registry,
        ):
            await registry.start()
            return await _compared(registry, straight)


async def _compared(registry: RegistryProcess, bucket: S3Settings) -> list[Row]:
    assert registry.process is not None
    watched = psutil.Process(registry.process.pid)
    before, rows = watched.memory_info().rss, []
    for strategy, ours, direct in (
        ("presigned", _by_one, _straight_one),
        ("multipart", _by_parts, _straight_parts),
    ):
        times: dict[str, list[float]] = {"ours": [], "direct": []}
        for number in range(_ROUNDS):
            version = f"{strategy}{number}"
            archive = Archive(version)
            times["direct"].append(await _timed(partial(direct, bucket, archive)))
            times["ours"].append(
                await _timed(
                    partial(_pushed, registry, version, archive, strategy=strategy, send=ours)
                )
            )
        value, limit = median(times["ours"]), median(times["direct"])
        rows.append(Row(f"{strategy} {_MIB} MiB", value, "s", limit, "the bucket", 1.4, _ROUNDS))
    grown = (watched.memory_info().rss - before) / 2**20
    return [*rows, Row("registry's memory grew by", grown, "MiB", target=64)]


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    machine.settle()
    begun = time.monotonic()
    await work()
    return time.monotonic() - begun


async def _pushed(
    registry: RegistryProcess, version: str, archive: Archive, *, strategy: str, send: Any
) -> None:
    async with registry.session() as session:
        await _json(session, "PUT", "/api/registry/settings", {"transmission_strategy": strategy})
        await _json(session, "POST", _TOP, {"name": "big"})
        made = {"version": version, "manifest": {}, "build_at": "2026-11-20 10:09:03.538404"}
        await _json(session, "POST", f"{_TOP}/big/models", made)
        path = f"{_TOP}/big/models/{version}"
        await _json(session, "PATCH", f"{path}/start_upload")
        await send(session, path, archive)
        await _json(session, "PATCH", f"{path}/finish_upload", {"status": "success"})
        async with session.head(f"{path}/download") as answer:
            if answer.status != 200:
                raise machine.RunError(f"{version} is not to be had: {answer.status}")


async def _by_one(session: aiohttp.ClientSession, path: str, archive: Archive) -> None:
    told = await _json(session, "PATCH", f"{path}/presign_upload_url")
    await _put(told["presigned_upload_url"], archive, first=0, size=archive.size)


async def _by_parts(session: aiohttp.ClientSession, path: str, archive: Archive) -> None:
    upload = (await _json(session, "PATCH", f"{path}/start_multipart_upload"))["upload_id"]

    async def url(number: int) -> str:
        asked = {"upload_id": upload, "part_number": number}
        told = await _json(session, "PATCH", f"{path}/presign_multipart_upload_url", asked)
        return str(told["presigned_upload_url"])

    parts = [
        {"part_number": number, "etag": etag} for number, etag in await _put_parts(archive, url)
    ]
    done = {"upload_id": upload, "parts": parts}
    await _json(session, "PATCH", f"{path}/complete_multipart_upload", done)


async def _straight_one(bucket: S3Settings, archive: Archive) -> None:
    async with client_of(bucket, bucket.endpoint) as client:
        told: Any = {"Bucket": bucket.bucket, "Key": f"big/{id(archive)}"}
        url = await client.generate_presigned_url("put_object", Params=told, ExpiresIn=3600)
        await _put(url, archive, first=0, size=archive.size)


async def _straight_parts(bucket: S3Settings, archive: Archive) -> None:
    async with open_s3(bucket) as store:
        direct, key = store.direct, f"parts/{id(archive)}"
        assert direct is not None
        upload = await direct.begin_parts(key)

        async def url(number: int) -> str:
            return await direct.part_url(key, upload, number=number, lifetime=_HOUR)

        await direct.join_parts(key, upload, await _put_parts(archive, url))


async def _put_parts(
    archive: Archive, url: Callable[[int], Awaitable[str]]
) -> list[tuple[int, str]]:
    waiting = list(enumerate(range(0, archive.size, _PART), start=1))
    found: list[tuple[int, str]] = []

    async def lane() -> None:
        while waiting:
            number, at = waiting.pop()
            found.append((number, await _put(await url(number), archive, first=at, size=_PART)))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(lane())
    return sorted(found)


async def _put(url: str, archive: Archive, *, first: int, size: int) -> str:
    """Its ETag."""
    length = min(size, archive.size - first)
    timeout = aiohttp.ClientTimeout(total=600)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.put(
            url,
            data=archive.send(first, length),
            headers={"Content-Length": str(length)},
            skip_auto_headers=["Content-Type"],
        ) as answer,
    ):
        if answer.status != 200:
            raise machine.RunError(f"PUT of a part: {answer.status} {await answer.text()}")
        return answer.headers["ETag"]


async def _json(
    session: aiohttp.ClientSession, method: str, path: str, *body: object
) -> dict[str, Any]:
    async with session.request(method, path, json=body[0] if body else None) as answer:
        told = await answer.json()
        if answer.status != 200:
            raise machine.RunError(f"{method} {path}: {answer.status} {told}")
        return dict(told)
