"""Archives that attack the registry: refused within limits of time and memory, nothing outside."""

import asyncio
import gzip
import io
import tarfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path

import aiohttp
import psutil
import pytest

from libs.chassis.postgres import Pool
from tests.support.hostile import ENDED, HOSTILE, entry, longname, pax
from tests.support.loops import running
from tests.support.registry import BENTOS, Served, create, send, usage
from tests.support.shelf import IRIS

SAID = b"name: iris\nversion: v1\n"
DESCRIPTION = entry("bento.yaml", SAID)
GROWTH = 64 * 2**20


@asynccontextmanager
async def _lean() -> AsyncIterator[None]:
    """The process never has 64 MiB more than before: client, registry and all."""
    process = psutil.Process()
    before = process.memory_info().rss
    most = before

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    async with running(watch):
        yield
    assert most - before < GROWTH


async def _streamed(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _push(session: aiohttp.ClientSession, parts: Iterable[bytes]) -> tuple[int, str]:
    """With what was said; a registry that has had enough may close before it has answered."""
    await create(session, "v1")
    try:
        async with session.put(f"{BENTOS}/v1/upload", data=_streamed(parts)) as answer:
            return answer.status, (await answer.json()).get("detail", "")
    except aiohttp.ClientConnectionError:
        _, seen = await send(session, "GET", f"{BENTOS}/v1")
        return 422, seen["upload_finished_reason"]


def _everything(folder: Path) -> set[Path]:
    """All that is in it, and what lies beside it: servers that run there change their own."""
    files = {each for each in folder.rglob("*") if not each.is_dir()}
    above = (*folder.parent.iterdir(), *folder.parent.parent.iterdir())
    return files | {each for each in above if not each.name.startswith("pytest-")}


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in HOSTILE.items()])
async def test_it_is_refused_and_leaves_nothing(
    session: aiohttp.ClientSession, registry: Served, pool: Pool, tmp_path: Path, sent: bytes
) -> None:
    before, began = _everything(tmp_path), time.monotonic()

    status, said = await _push(session, [DESCRIPTION, sent, ENDED])

    assert status == 422, said
    assert time.monotonic() - began < 10
    assert _everything(tmp_path) == before
    assert registry.staged == []
    assert await usage(pool) == (0, 0)
    assert (await send(session, "GET", f"{BENTOS}/v1/download"))[0] == 409


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(gzip.compress(bytes(64 * 2**20)), id="gzip-bomb"),
        pytest.param(gzip.compress(DESCRIPTION + ENDED), id="gzip"),
        pytest.param(b"PK\x03\x04" + bytes(2**20), id="zip"),
        pytest.param(entry("bento.yaml", SAID + b"x: " + b"[" * 200_000) + ENDED, id="deep-yaml"),
        pytest.param(b"", id="nothing"),
        pytest.param(ENDED, id="empty"),
    ],
)
async def test_what_is_no_archive_of_a_bento_is_refused_as_it_is(
    session: aiohttp.ClientSession, registry: Served, sent: bytes
) -> None:
    async with _lean():
        status, said = await _push(session, [sent])
    assert status == 422, said
    assert registry.staged == []


async def test_names_of_links_are_held_up_to_a_limit(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    block = b"".join(
        longname(f"{number:04}/" + "n" * 4_000) + entry("", kind=tarfile.SYMTYPE, target="x")
        for number in range(6_000)
    )
    async with _lean():
        status, said = await _push(session, [DESCRIPTION, block, ENDED])
    assert status == 422
    assert "names of its links" in said
    assert registry.staged == []


async def test_files_of_one_path_over_and_over_are_the_last_one(
    session: aiohttp.ClientSession,
) -> None:
    twice = [entry("a", b"first"), entry("./a", b"second"), entry("x/../a", b"third")]
    assert (await _push(session, [DESCRIPTION, *twice, ENDED]))[0] == 200
    assert await send(session, "GET", f"{IRIS}/versions/v1/files/a") == (200, b"third")


async def test_a_size_that_pax_says_is_the_size_for_everybody(
    session: aiohttp.ClientSession,
) -> None:
    """What hides behind a header's own size is content, and no entry."""
    hidden = entry("../../evil")
    sent = pax({"size": str(len(hidden))}) + entry("a") + hidden
    assert (await _push(session, [DESCRIPTION, sent, ENDED]))[0] == 200
    _, seen = await send(session, "GET", f"{IRIS}/versions/v1/files")
    assert [each["path"] for each in seen["items"]] == ["a", "bento.yaml"]
    assert await send(session, "GET", f"{IRIS}/versions/v1/files/a") == (200, hidden)
    with tarfile.open(fileobj=io.BytesIO(DESCRIPTION + sent + ENDED)) as tar:
        assert tar.getnames() == ["bento.yaml", "a"]


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        pytest.param(200_000, 200, id="200,000"),  # 5 s: each is looked at
        pytest.param(
            10_000_000, 422, id="10,000,000", marks=[pytest.mark.soak, pytest.mark.timeout(900)]
        ),
    ],
)
async def test_entries_without_number(
    session: aiohttp.ClientSession, registry: Served, pool: Pool, entries: int, status: int
) -> None:
    """They are counted as they come, and nothing is kept of them."""
    block = entry("a") * 2_000
    began = time.monotonic()
    async with _lean():
        parts = [DESCRIPTION, *repeat(block, entries // 2_000), ENDED]
        answered, said = await _push(session, parts)
        _, problem = await send(session, "GET", f"{IRIS}/versions/v1/files")
    assert answered == status, said
    assert status == 200 or "entries" in said
    assert "entries" in problem["detail"]
    assert time.monotonic() - began < 300
    assert registry.staged == []
    if status != 200:
        assert await usage(pool) == (0, 0)
