"""A door to one repository of a registry: who may come in, and to what."""

import asyncio
import hashlib
import random
import tracemalloc
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from services.builder.oci import AnonymousAccess, BasicAccess, Remote
from services.builder.oci.door import Door
from tests.adapters.builder.oci.conftest import ABSENT, QUICK, SENT
from tests.support.oci_faults import BadRegistry

CACHE = "cache/layers"
LARGE = random.Random(5).randbytes(2**24)  # noqa: S311 - no secret
DIGEST = f"sha256:{hashlib.sha256(LARGE).hexdigest()}"


@pytest.fixture
async def door(remote: Remote) -> AsyncIterator[Door]:
    async with remote.door(CACHE).open() as door:
        yield door


async def ask(
    session: aiohttp.ClientSession, door: Door, path: str, method: str = "GET", **more: str
) -> int:
    headers = {"Authorization": door.authorization, **more}
    url = URL(f"http://{door.host}{path}", encoded=True)
    async with session.request(method, url, headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_nobody_comes_in_without_the_password(
    session: aiohttp.ClientSession, door: Door
) -> None:
    for shown in ("", "Basic YnVpbGQ6", "Bearer x", SENT):
        for path in ("/v2/", f"/v2/{CACHE}/tags/list", "/"):
            assert await ask(session, door, path, Authorization=shown) == 401


async def test_what_is_no_text_does_not_come_in_either(door: Door) -> None:
    host, _, port = door.host.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \xff\xfe\r\n\r\n")
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "path",
    [
        "/v2/other/tags/list",
        f"/v2/other/blobs/{ABSENT}",
        f"/v2/{CACHE}x/manifests/a",
        f"/v2/{CACHE}/more/manifests/a",
        f"/v2/{CACHE}/../other/manifests/a",
        f"/v2/{CACHE}/manifests/..",
        f"/v2/{CACHE}/manifests/%2e%2e%2fother",
        f"/v2/{CACHE}/blobs/uploads/../../x",
        "/v2/_catalog",
        "/api/v1/bento_repositories",
        "/",
    ],
)
async def test_it_leads_to_one_repository(
    session: aiohttp.ClientSession, door: Door, path: str
) -> None:
    assert await ask(session, door, "/v2/") == 200
    assert await ask(session, door, path) in {403, 404}
    assert await ask(session, door, f"/v2/{CACHE}/manifests/a", "DELETE") == 403


async def test_large_bytes_pass_both_ways_and_are_kept_nowhere(
    session: aiohttp.ClientSession, door: Door, remote: Remote
) -> None:
    through = Remote(session, f"http://{door.host}", access=BasicAccess(*_pair(door)))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(LARGE), 2**16):
            yield LARGE[at : at + 2**16]

    pushed = await through.push(CACHE, pieces)
    assert (pushed.digest, pushed.size) == (DIGEST, len(LARGE))
    assert await remote.has_blob(CACHE, DIGEST)
    tracemalloc.start()
    peaks = []
    for each in (remote, through):
        tracemalloc.reset_peak()
        got = [len(piece) async for piece in each.blob(CACHE, DIGEST, size=len(LARGE))]
        assert sum(got) == len(LARGE)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2**22  # than what the registry and this test have, both here


async def test_no_blob_of_another_repository_is_brought_through_it(
    session: aiohttp.ClientSession, door: Door, remote: Remote
) -> None:
    kept = await remote.push_bytes("team/secret", b"of others")
    through = Remote(session, f"http://{door.host}", access=BasicAccess(*_pair(door)))
    assert not await through.mount(CACHE, kept.digest, source="team/secret")
    assert not await remote.has_blob(CACHE, kept.digest)


async def test_it_is_closed_afterwards(session: aiohttp.ClientSession, remote: Remote) -> None:
    async with remote.door(CACHE).open() as door:
        assert await ask(session, door, "/v2/") == 200
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(session, door, "/v2/")


async def test_after_trouble_nothing_is_asked_and_nothing_is_there(
    session: aiohttp.ClientSession, bad: BadRegistry
) -> None:
    remote = Remote(session, f"{bad.url}/none", access=AnonymousAccess(), patience=QUICK)
    async with remote.door(CACHE).open() as door:
        assert await ask(session, door, f"/v2/{CACHE}/manifests/a", "PUT") >= 400
        assert str(door.trouble).endswith("answers 500")
        seen = len(bad.seen)
        assert await ask(session, door, f"/v2/{CACHE}/manifests/a") == 404
        assert await ask(session, door, f"/v2/{CACHE}/blobs/uploads/", "POST") == 403
    assert len(bad.seen) == seen


async def test_only_the_registry_is_told_who_we_are(
    session: aiohttp.ClientSession, bad: BadRegistry
) -> None:
    remote = Remote(session, bad.url, access=BasicAccess("ada", "s3cret"), patience=QUICK)
    async with remote.door(CACHE).open() as door:
        await ask(session, door, f"/v2/{CACHE}/blobs/{ABSENT}")
    assert [each.headers["Authorization"] for each in bad.seen] == [SENT]


def _pair(door: Door) -> tuple[str, str]:
    shown = aiohttp.BasicAuth.decode(door.authorization)
    return shown.login, shown.password
