"""Garbage is collected while people push and delete: nothing that anybody counts on goes."""

import asyncio
import io
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from services.registry.service import Patience, UseCases
from tests.support.loops import running
from tests.support.oci import digest_of
from tests.support.registry import served

pytestmark = pytest.mark.long

PUSHERS = 16
PATIENCE = 3.0
"""Seconds that a blob stays without a manifest: longer than any push takes to say it."""
_PATIENCE = Patience(
    unneeded=timedelta(seconds=PATIENCE),
    deleting=timedelta(seconds=1),
    unknown=timedelta(minutes=1),
)
_LAYERS = [random.Random(n).randbytes(4_000 * (1 + n % 40)) for n in range(90)]  # noqa: S311 - no secret
_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Pusher:
    """Pushes images that share layers with everybody's, reads them back, and deletes some."""

    def __init__(
        self, session: aiohttp.ClientSession, number: int, *, until: float, seen: Counter[str]
    ) -> None:
        self._session = session
        self._repository = f"team/r{number % 5}"
        self._chance = random.Random(number)  # noqa: S311 - no secret
        self._until = until
        self._seen = seen
        self._number = number

    async def run(self) -> None:
        turn = 0
        while time.monotonic() < self._until:
            turn += 1
            layers = [_LAYERS[n % len(_LAYERS)] for n in self._chance.sample(self._window(), 5)]
            manifest = await self._push(layers, f"t{self._number}-{turn % 4}")
            if manifest is None:
                continue
            await self._read_back(manifest, layers)
            if self._chance.random() < 0.95:
                await self._delete(manifest)

    def _window(self) -> range:
        """What is in use wanders: layers fall out of it, are collected, and come back."""
        begin = int(time.monotonic() * 5)
        return range(begin, begin + 15)

    async def _push(self, layers: list[bytes], tag: str) -> str | None:
        begun = time.monotonic()
        for each in layers:
            await self._blob(each)
        config = {"mediaType": "application/json", "digest": digest_of(layers[0]), "size": 1}
        described = [
            {"mediaType": "application/x", "digest": digest_of(each), "size": len(each)}
            for each in layers
        ]
        unique = {"annotations": {"by": f"{self._number} {begun}"}}
        body = json.dumps(
            {"schemaVersion": 2, "mediaType": _TYPE, "config": config, "layers": described} | unique
        ).encode()
        status = await self._send("PUT", f"manifests/{tag}", body, _TYPE)
        if status != 201:
            # A push that took longer than blobs are kept for may have to begin again.
            assert time.monotonic() - begun > PATIENCE, f"{status}: a blob went too early"
            self._seen["late"] += 1
            return None
        self._seen["pushed"] += 1
        return digest_of(body)

    async def _blob(self, content: bytes) -> None:
        digest = digest_of(content)
        if await self._send("HEAD", f"blobs/{digest}") == 200:
            self._seen["there"] += 1
            return
        if self._chance.random() < 0.5:
            path = f"blobs/uploads/?mount={digest}&from=team/r{self._chance.randrange(5)}"
            if await self._send("POST", path) == 201:
                self._seen["mounted"] += 1
                return
        assert await self._send("POST", f"blobs/uploads/?digest={digest}", content) == 201
        self._seen["sent"] += 1

    async def _read_back(self, manifest: str, layers: list[bytes]) -> None:
        async with self._session.get(self._path(f"manifests/{manifest}")) as answer:
            assert answer.status == 200, "the manifest of this push is unknown"
        for each in layers:
            async with self._session.get(self._path(f"blobs/{digest_of(each)}")) as answer:
                assert answer.status == 200, "a blob of this push is unknown"
                assert await answer.read() == each
        self._seen["read"] += 1

    async def _delete(self, manifest: str) -> None:
        assert await self._send("DELETE", f"manifests/{manifest}") in {202, 404}
        self._seen["deleted"] += 1

    async def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> int:
        headers = {"Content-Type": kind} if kind else {}
        data = io.BytesIO(body) if body is not None else None
        async with self._session.request(
            method, self._path(path), data=data, headers=headers
        ) as answer:
            await answer.read()
            return answer.status

    def _path(self, path: str) -> str:
        return f"/v2/{self._repository}/{path}"


@pytest.fixture
async def shared(
    pool: Pool, tmp_path: Path
) -> AsyncIterator[tuple[aiohttp.ClientSession, UseCases]]:
    async with (
        served(pool, tmp_path / "blobs", patience=_PATIENCE) as registry,
        aiohttp.ClientSession(registry.url) as session,
    ):
        yield session, registry.cases


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(60, marks=pytest.mark.timeout(200)),
        pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
async def test_nothing_that_is_counted_on_is_collected_and_nothing_else_stays(
    shared: tuple[aiohttp.ClientSession, UseCases], pool: Pool, tmp_path: Path, seconds: int
) -> None:
    session, cases = shared
    seen: Counter[str] = Counter()

    async def collect() -> None:
        while True:
            taken = await cases.collection.run(force=True)
            seen["collected"] += taken.removed_bytes
            await cases.collection.remove_unknown()
            await asyncio.sleep(0.05)

    until = time.monotonic() + seconds
    async with running(collect), asyncio.TaskGroup() as group:
        for number in range(PUSHERS):
            group.create_task(Pusher(session, number, until=until, seen=seen).run())
    print(dict(seen))
    assert min(seen[each] for each in ("pushed", "there", "mounted", "sent", "collected")) > 0
    await _nothing_dangles(pool, tmp_path)

    await pool.execute("DELETE FROM oci_manifest")
    await asyncio.sleep(PATIENCE)
    await cases.collection.run(force=True)
    await asyncio.sleep(PATIENCE)
    await cases.collection.run(force=True)
    await asyncio.sleep(1)
    await cases.collection.run(force=True)
    assert [each for each in (tmp_path / "blobs/sha256").rglob("*") if each.is_file()] == []
    assert await pool.fetchval("SELECT count(*) FROM blob") == 0


async def _nothing_dangles(pool: Pool, tmp_path: Path) -> None:
    places = [row["place"] for row in await pool.fetch("SELECT place FROM blob")]
    assert [each for each in places if not (tmp_path / "blobs" / each).is_file()] == []
    dangling = await pool.fetchval(
        "SELECT count(*) FROM oci_edge e LEFT JOIN blob b ON b.digest = e.blob "
        "WHERE b.digest IS NULL OR b.state = 'damaged'"
    )
    assert dangling == 0
