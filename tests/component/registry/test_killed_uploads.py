"""The registry is killed while bytes come, however they come: nothing half is ever seen."""

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.chassis.blobs import FileBlobs
from libs.chassis.postgres import Database, Pool
from services.registry.service import Patience, use_cases
from services.registry.wiring import bind
from tests.support.nats import NatsServer
from tests.support.oci import digest_of
from tests.support.registry import BENTOS, archive, create, send
from tests.support.registry_process import RegistryProcess, registry_process

pytestmark = pytest.mark.long

PART = 3 * 2**20
_LONGEST = 0.25
"""Seconds after which an upload is through: kills come before and after every step of it."""

Push = Callable[[aiohttp.ClientSession, str, bytes], Coroutine[Any, Any, None]]


async def slowly(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 2**19):
        yield content[at : at + 2**19]
        await asyncio.sleep(0.005)


async def by_proxy(session: aiohttp.ClientSession, version: str, content: bytes) -> None:
    async with session.put(f"{BENTOS}/{version}/upload", data=slowly(content)) as answer:
        assert answer.status == 200, await answer.text()


async def by_parts(session: aiohttp.ClientSession, version: str, content: bytes) -> None:
    path = f"{BENTOS}/{version}"
    await ok(session, "PATCH", f"{path}/start_upload")
    upload = (await ok(session, "PATCH", f"{path}/start_multipart_upload"))["upload_id"]
    parts = []
    for number, at in enumerate(range(0, len(content), PART), start=1):
        where = f"/api/registry/transfers/{upload}/{number}"
        async with session.put(where, data=slowly(content[at : at + PART])) as answer:
            assert answer.status == 200, await answer.text()
            parts.append({"part_number": number, "etag": answer.headers["ETag"]})
    done = {"upload_id": upload, "parts": parts}
    await ok(session, "PATCH", f"{path}/complete_multipart_upload", done)
    await ok(session, "PATCH", f"{path}/finish_upload", {"status": "success"})


async def ok(
    session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> dict[str, Any]:
    status, seen = await send(session, method, path, body)
    assert status == 200, seen
    return dict(seen)


class Image:
    """A blob of an image, sent in pieces; what was killed goes on where it was."""

    def __init__(self) -> None:
        self.upload: str | None = None
        self.resumed = 0

    async def __call__(self, session: aiohttp.ClientSession, version: str, content: bytes) -> None:
        del version
        at = await self._begun(session, len(content))
        while at < len(content):
            piece = content[at : at + PART]
            headers = {"Content-Range": f"{at}-{at + len(piece) - 1}"}
            where = self.upload or ""
            async with session.patch(where, data=slowly(piece), headers=headers) as answer:
                assert answer.status == 202, await answer.text()
            at += len(piece)
        async with session.put(f"{self.upload}?digest={digest_of(content)}") as answer:
            # An answer that was lost: the upload is over, and the blob is there.
            assert answer.status in {201, 404}, await answer.text()
        async with session.head(f"/v2/iris/blobs/{digest_of(content)}") as answer:
            assert answer.status == 200

    async def _begun(self, session: aiohttp.ClientSession, size: int) -> int:
        if self.upload is not None:
            async with session.get(self.upload) as answer:
                if answer.status == 204:
                    end = int(answer.headers["Range"].partition("-")[2])
                    self.resumed += end > 0
                    at = end + 1 if end else 0
                    assert at % PART == 0 or at == size, "half a piece was taken for one"
                    return at
        async with session.post("/v2/iris/blobs/uploads/") as answer:
            self.upload = answer.headers["Location"]
        return 0


@pytest.fixture
async def registry(
    tmp_path: Path, database_url: str, nats_server: NatsServer
) -> AsyncIterator[RegistryProcess]:
    async with registry_process(tmp_path, database_url=database_url, nats=nats_server) as made:
        yield made


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(21, marks=pytest.mark.timeout(180)),
        pytest.param(201, marks=[pytest.mark.soak, pytest.mark.timeout(1500)]),
    ],
)
async def test_a_killed_upload_is_never_seen_half_and_always_repeatable(
    registry: RegistryProcess, pool: Pool, kills: int
) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    await registry.start()
    for number in range(kills):
        version = f"v{number}"
        content = archive(version, payload=chance.randbytes(8 * 2**20))
        push: Push = (by_proxy, by_parts, Image())[number % 3]
        async with registry.session() as session:
            await create(session, version)
            await _killed(registry, push(session, version, content), after=chance.random())
        await registry.start()
        async with registry.session() as session:
            await _is_whole_or_not_there(session, version, content)
            await push(session, version, content)
            if not isinstance(push, Image):
                status, seen = await send(session, "GET", f"{BENTOS}/{version}/download")
                assert (status, seen == content) == (200, True)
    registry.kill()
    await _nothing_is_left_over(pool, registry.folder / "blobs")


async def _killed(
    registry: RegistryProcess, pushing: Coroutine[Any, Any, None], *, after: float
) -> None:
    task = asyncio.create_task(pushing)
    await asyncio.sleep(after * _LONGEST)
    registry.kill()
    with suppress(aiohttp.ClientError, AssertionError, TimeoutError, KeyError):
        await task


async def _is_whole_or_not_there(
    session: aiohttp.ClientSession, version: str, content: bytes
) -> None:
    _, seen = await send(session, "GET", f"{BENTOS}/{version}")
    status, got = await send(session, "GET", f"{BENTOS}/{version}/download")
    assert (status == 200) == (seen["upload_status"] == "success") or status == 503
    assert status != 200 or got == content
    async with session.get(f"/v2/iris/blobs/{digest_of(content)}") as answer:
        assert answer.status == 404 or io.BytesIO(await answer.read()).getvalue() == content


async def _nothing_is_left_over(pool: Pool, folder: Path) -> None:
    """Once what is unfinished is forgotten: a file for each blob, and no others."""
    zero = timedelta(0)
    cases = use_cases(
        Database(pool, bind),
        FileBlobs(folder),
        silence=zero,
        undo=zero,
        patience=Patience(zero, deleting=zero, unknown=zero),
    )
    await pool.execute("UPDATE transfer SET expires_at = now() - interval '1 hour', state = 'open'")
    await cases.transfers.forget_expired()
    await pool.execute("UPDATE oci_upload SET alive_at = now() - interval '2 days'")
    await cases.images.forget_silent()
    await cases.collection.remove_unknown(force=True)
    await cases.collection.forget_unfinished()
    known = {row["place"] for row in await pool.fetch("SELECT place FROM blob")}
    lying = {
        str(each.relative_to(folder))
        for name in ("sha256", "receiving")
        for each in (folder / name).rglob("*")
        if each.is_file()
    }
    assert lying == known
