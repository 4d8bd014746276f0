"""Archives that want to be read as something else, and bytes that rot: nothing wrong is shown."""

import asyncio
import io
import tarfile
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from libs.chassis.blobs import CHUNK, Blob
from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Pool
from services.registry.archive import Listing
from tests.support.registry import BENTOS, ORG, Served, archive, create, send
from tests.support.shelf import IRIS as REPOSITORY
from tests.support.shelf import files, later, push

IRIS = f"{REPOSITORY}/versions"
DESCRIPTION = b"name: iris\nversion: v1\n"
BIG = bytes(range(1, 256)) * (3 * CHUNK // 255)
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x") -> Member:
    return tarfile.TarInfo(name), content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def sparse(name: str) -> Member:
    info, content = file(name)
    info.pax_headers = {"GNU.sparse.name": "bento.yaml", "GNU.sparse.realsize": "9"}
    return info, content


def packed(*members: Member) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", errors="surrogateescape") as tar:
        for info, content in (file("./bento.yaml", DESCRIPTION), *members):
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


async def upload(session: aiohttp.ClientSession, content: bytes) -> int:
    await create(session, "v1")
    return (await send(session, "PUT", f"{BENTOS}/v1/upload", content))[0]


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([file("../../etc/cron.d/x")], id="traversal"),
        pytest.param([file("/etc/passwd")], id="absolute"),
        pytest.param([file("a/" * 100 + "../" * 101 + "x")], id="traversal-in-a-pax-name"),
        pytest.param([link("x", "/etc/passwd")], id="link-out"),
        pytest.param([link("x", "../../secret", tarfile.LNKTYPE)], id="hard-link-out"),
        pytest.param([link("x", "."), file("x/bento.yaml")], id="through-a-link"),
        pytest.param([link("x", "bento.yaml"), file("x")], id="over-a-link"),
        pytest.param([sparse("x")], id="pax-sparse"),
    ],
)
async def test_what_is_refused_is_not_looked_into(
    session: aiohttp.ClientSession, members: list[Member]
) -> None:
    assert await upload(session, packed(*members)) == 422
    for path in ("files", "files/bento.yaml", "files/x", "diff?to=v1"):
        status, problem = await send(session, "GET", f"{IRIS}/v1/{path}")
        assert (status, problem["type"]) == (409, "/problems/version-not-uploaded"), path
    status, seen = await send(session, "GET", f"{IRIS}/v1")
    assert (status, seen["upload_status"], seen["size_bytes"]) == (200, "failed", 0)


async def test_of_two_files_at_one_path_the_one_that_unpacking_leaves_is_shown(
    session: aiohttp.ClientSession,
) -> None:
    twice = [file("src/a.py", b"harmless"), file("./src/./a.py", b"what runs")]
    assert await upload(session, packed(*twice)) == 200
    _, seen = await send(session, "GET", f"{IRIS}/v1/files?count=1")
    _, rest = await send(session, "GET", f"{IRIS}/v1/files?cursor={seen['next']}")
    assert [each["path"] for each in seen["items"] + rest["items"]] == ["bento.yaml", "src/a.py"]
    assert await send(session, "GET", f"{IRIS}/v1/files/src/a.py") == (200, b"what runs")


async def test_a_hard_link_has_the_bytes_of_its_file(session: aiohttp.ClientSession) -> None:
    assert await upload(session, packed(link("same", "./bento.yaml", tarfile.LNKTYPE))) == 200
    assert await send(session, "GET", f"{IRIS}/v1/files/same") == (200, DESCRIPTION)


async def test_files_are_found_by_the_names_that_the_list_gives(
    session: aiohttp.ClientSession,
) -> None:
    names = [
        "a b#c?d.txt",
        "100%",
        "%41",
        "ü/😀",
        "caf\udce9",
        "x" * 120 + "/" + "y" * 120,
        "a+b&c",
    ]
    members = [file(name, str(n).encode()) for n, name in enumerate(names)]
    assert await upload(session, packed(*members)) == 200
    _, seen = await send(session, "GET", f"{IRIS}/v1/files")
    shown = {each["path"] for each in seen["items"]} - {"bento.yaml"}
    assert shown == {name.replace("\udce9", "%E9") for name in names}
    contents = set()
    for path in shown:
        url = URL(f"{IRIS}/v1/files/{quote(path)}", encoded=True)
        async with session.get(url) as answer:
            assert answer.status == 200, path
            contents.add(await answer.read())
    assert contents == {str(n).encode() for n in range(len(names))}


def damage(folder: Path, at: int) -> None:
    """One bit of one archive."""
    stored = files(folder)[0]
    content = bytearray(stored.read_bytes())
    content[at] ^= 1
    stored.write_bytes(content)


async def test_headers_that_rotted_are_not_listed_and_a_push_heals(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    content = packed(file("w", BIG))
    assert await upload(session, content) == 200
    damage(tmp_path, 0)
    status, problem = await send(session, "GET", f"{IRIS}/v1/files")
    assert (status, problem["type"]) == (503, "/problems/blob-damaged")
    assert await pool.fetchval("SELECT count(*) FROM listing") == 0

    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", content))[0] == 200
    assert (await send(session, "GET", f"{IRIS}/v1/files/w"))[1] == BIG


async def test_a_file_that_rotted_in_its_middle_breaks_off_before_the_first_wrong_byte(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    assert await upload(session, packed(file("w", BIG))) == 200
    await send(session, "GET", f"{IRIS}/v1/files")
    damage(tmp_path, CHUNK + 9)
    got = bytearray()

    async def read() -> None:
        async with session.get(f"{IRIS}/v1/files/w") as answer:
            async for piece in answer.content.iter_any():
                got.extend(piece)

    with pytest.raises(aiohttp.ClientPayloadError):
        await read()
    assert len(got) < CHUNK
    assert BIG.startswith(got)
    status, _ = await send(session, "GET", f"{IRIS}/v1/files/w")
    assert status in {409, 503}, "it is known to be damaged from now on"


async def test_a_comparison_that_meets_rotten_bytes_says_nothing_of_them(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for version in ("v1", "v2"):
        await create(session, version)
        content = archive(version, payload=BIG)
        assert (await send(session, "PUT", f"{BENTOS}/{version}/upload", content))[0] == 200
    for version in ("v1", "v2"):
        await send(session, "GET", f"{IRIS}/{version}/files")
    damage(tmp_path, CHUNK + 9)
    status, problem = await send(session, "GET", f"{IRIS}/v1/diff?to=v2")
    assert (status, problem["type"]) == (503, "/problems/blob-damaged")


async def test_many_who_look_first_at_once_read_the_archive_once(
    session: aiohttp.ClientSession, registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await upload(session, packed(*(file(f"f{n}") for n in range(200)))) == 200
    walked, walk = [], registry.cases.inside._walked

    async def counted(blob: Blob) -> Listing:
        walked.append(blob.digest)
        return await walk(blob)

    monkeypatch.setattr(registry.cases.inside, "_walked", counted)
    answers = await asyncio.gather(
        *(send(session, "GET", f"{IRIS}/v1/files?prefix=&count=500") for _ in range(8))
    )
    assert {status for status, _ in answers} == {200}
    assert {len(seen["items"]) for _, seen in answers} == {201}
    assert len(walked) == 1


async def test_a_listing_goes_with_its_bytes(
    session: aiohttp.ClientSession, pool: Pool, tmp_path: Path
) -> None:
    await push(session, "v1")
    await send(session, "GET", f"{IRIS}/v1/files")
    assert await pool.fetchval("SELECT count(*) FROM listing") == 1
    await send(session, "DELETE", f"{IRIS}/v1")
    assert (await send(session, "GET", f"{IRIS}/v1/files"))[0] == 404
    with bound(Cause("service:registry", ORG, correlation_id="test")):
        for days in (8, 9.5, 11):
            await later(pool, tmp_path, days=days).collection.run()
    assert files(tmp_path) == []
    assert await pool.fetchval("SELECT count(*) FROM listing") == 0


async def test_what_is_not_ours_is_not_there_in_the_same_words(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, "v1")
    for path in ("", "/files", "/files/bento.yaml", "/diff?to=v1"):
        async with session.get(f"{IRIS}/v1{path}", headers={"X-Test-Org": "2"}) as answer:
            theirs = answer.status, (await answer.json())["detail"]
        _, absent = await send(session, "GET", f"{IRIS.replace('iris', 'nope')}/v1{path}")
        assert theirs == (404, absent["detail"].replace("nope", "iris"))
