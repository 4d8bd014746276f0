"""Push: blobs whole, in pieces and by mount; a restart forgets nothing, another org is nobody."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest

from libs.chassis.blobs import CHUNK, FileBlobs
from libs.chassis.postgres import Database, Pool
from services.registry.service import OciBlobs
from services.registry.wiring import bind
from tests.support.oci import OTHER_ORG, begin, call, digest_of, push
from tests.support.registry import ORG, Served, held, served

CONTENT = random.Random(5).randbytes(CHUNK + 4321)  # noqa: S311 - no secret
DIGEST = digest_of(CONTENT)
HALF = CHUNK - 17
BLOB = f"/v2/team/iris/blobs/{DIGEST}"


def staged(registry: Served) -> list[Path]:
    """What lies there beside the blobs that are known of."""
    return list((registry.folder / "receiving").iterdir())


async def stored(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT committed_bytes FROM usage WHERE org_id = $1", ORG) or 0)


async def test_the_api_says_that_it_is_one(session: aiohttp.ClientSession) -> None:
    assert (await call(session, "GET", "/v2/")).status == 200


async def test_a_blob_in_one_request(session: aiohttp.ClientSession, registry: Served) -> None:
    path = f"/v2/team/iris/blobs/uploads/?digest={DIGEST}"
    done = await call(session, "POST", path, CONTENT)

    assert done.status == 201
    assert done.headers["Docker-Content-Digest"] == DIGEST
    assert (await call(session, "GET", done.headers["Location"])).body == CONTENT
    assert staged(registry) == []


async def test_a_blob_by_post_and_put(session: aiohttp.ClientSession) -> None:
    done = await call(session, "PUT", f"{await begin(session)}?digest={DIGEST}", CONTENT)

    assert (done.status, done.headers["Location"]) == (201, BLOB)
    assert (await call(session, "GET", BLOB)).body == CONTENT


async def test_an_empty_blob(session: aiohttp.ClientSession) -> None:
    digest = await push(session, b"")
    seen = await call(session, "GET", f"/v2/team/iris/blobs/{digest}")

    assert (seen.status, seen.body) == (200, b"")


async def test_a_blob_in_pieces(session: aiohttp.ClientSession) -> None:
    upload = await begin(session)

    first = await call(session, "PATCH", upload, CONTENT[:HALF], Content_Range=f"0-{HALF - 1}")
    assert (first.status, first.headers["Range"]) == (202, f"0-{HALF - 1}")
    status = await call(session, "GET", first.headers["Location"])
    assert (status.status, status.headers["Range"]) == (204, f"0-{HALF - 1}")
    rest = f"{HALF}-{len(CONTENT) - 1}"
    done = await call(
        session, "PUT", f"{upload}?digest={DIGEST}", CONTENT[HALF:], Content_Range=rest
    )

    assert done.status == 201
    assert (await call(session, "GET", BLOB)).body == CONTENT


@pytest.mark.parametrize("said", ["5-9", "0-4", "20-24"])
async def test_a_piece_out_of_order_is_416_and_says_what_is_here(
    session: aiohttp.ClientSession, said: str
) -> None:
    upload = await begin(session)
    await call(session, "PATCH", upload, b"0123456789", Content_Range="0-9")

    refused = await call(session, "PATCH", upload, b"01234", Content_Range=said)

    assert (refused.status, refused.code) == (416, "BLOB_UPLOAD_INVALID")
    assert refused.headers["Range"] == "0-9"
    assert (await call(session, "GET", upload)).headers["Range"] == "0-9", "the session goes on"
    whole = b"0123456789abc"
    done = await call(
        session, "PUT", f"{upload}?digest={digest_of(whole)}", b"abc", Content_Range="10-12"
    )
    assert done.status == 201


@pytest.mark.parametrize("said", ["x", "9-0", "0-99", "0-" + "9" * 40])
async def test_a_range_that_is_none_or_not_the_bodys_is_refused(
    session: aiohttp.ClientSession, said: str
) -> None:
    refused = await call(session, "PATCH", await begin(session), b"0123", Content_Range=said)

    assert refused.status == 400
    assert refused.code in {"BLOB_UPLOAD_INVALID", "SIZE_INVALID"}


async def test_other_bytes_than_the_digest_says_are_refused_and_gone(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    upload = await begin(session)
    refused = await call(session, "PUT", f"{upload}?digest={DIGEST}", b"others")

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert (await call(session, "HEAD", BLOB)).status == 404
    assert (await call(session, "GET", upload)).code == "BLOB_UPLOAD_UNKNOWN"
    assert (staged(registry), await stored(pool)) == ([], 0)


@pytest.mark.parametrize(
    "digest", ["", "sha256:ab", "sha512:" + "0" * 64, "md5:" + "0" * 32, "../../etc/passwd"]
)
async def test_what_is_no_digest_is_refused(session: aiohttp.ClientSession, digest: str) -> None:
    refused = await call(session, "PUT", f"{await begin(session)}?digest={digest}", b"")

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("name", ["Team", "a//b", "-a", "a" * 256, "a%00b", "a/"])
async def test_a_name_that_is_none_is_refused(session: aiohttp.ClientSession, name: str) -> None:
    refused = await call(session, "POST", f"/v2/{name}/blobs/uploads/")

    assert (refused.status, refused.code) == (400, "NAME_INVALID")


async def test_an_upload_that_is_cancelled_is_gone(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    upload = await begin(session)
    await call(session, "PATCH", upload, b"0123")

    assert (await call(session, "DELETE", upload)).status == 204
    assert (await call(session, "PATCH", upload, b"4567")).code == "BLOB_UPLOAD_UNKNOWN"
    assert staged(registry) == []


async def test_an_upload_goes_on_after_a_restart(pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    async with served(pool, folder) as one, aiohttp.ClientSession(one.url) as session:
        upload = await begin(session)
        await call(session, "PATCH", upload, CONTENT[:HALF])
    (folder / "receiving" / "torn").write_bytes(b"a piece that was never recorded")
    FileBlobs(folder).sweep()  # what the service does when it starts

    async with served(pool, folder) as two, aiohttp.ClientSession(two.url) as session:
        assert (await call(session, "GET", upload)).headers["Range"] == f"0-{HALF - 1}"
        done = await call(session, "PUT", f"{upload}?digest={DIGEST}", CONTENT[HALF:])
        assert done.status == 201
        assert (await call(session, "GET", BLOB)).body == CONTENT


async def test_an_upload_whose_bytes_were_lost_or_changed_is_never_a_blob(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    upload = await begin(session)
    await call(session, "PATCH", upload, CONTENT[:10])
    [piece] = (each for each in (registry.folder / "sha256").rglob("*") if each.is_file())
    piece.write_bytes(b"0123456789")

    refused = await call(session, "PUT", f"{upload}?digest={DIGEST}", CONTENT[10:])

    assert refused.status == 503
    assert (await call(session, "HEAD", BLOB)).status == 404


async def test_a_second_sender_is_refused_while_the_first_sends(
    session: aiohttp.ClientSession, registry: Served
) -> None:
    upload = await begin(session)
    go_on = asyncio.Event()
    first = asyncio.create_task(call(session, "PATCH", upload, held(CONTENT, go_on)))
    async with asyncio.timeout(10):
        while not any(each.stat().st_size for each in staged(registry)):
            await asyncio.sleep(0.01)

        refused = await call(session, "PATCH", upload, b"x")
        go_on.set()

        assert (refused.status, (await first).status) == (409, 202)
    done = await call(session, "PUT", f"{upload}?digest={DIGEST}")
    assert done.status == 201


async def test_a_mount_needs_no_bytes(session: aiohttp.ClientSession, pool: Pool) -> None:
    await push(session, CONTENT, "base")
    path = f"/v2/team/iris/blobs/uploads/?mount={DIGEST}&from=base"

    done = await call(session, "POST", path)

    assert (done.status, done.headers["Location"]) == (201, BLOB)
    assert (await call(session, "GET", BLOB)).body == CONTENT
    assert await stored(pool) == len(CONTENT), "one blob is paid for once"


async def test_a_mount_without_from_finds_the_organisations_blobs(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, CONTENT, "base")

    done = await call(session, "POST", f"/v2/team/iris/blobs/uploads/?mount={DIGEST}")

    assert (done.status, done.headers["Location"]) == (201, BLOB)
    assert (await call(session, "GET", BLOB)).body == CONTENT


async def test_a_mount_tells_nothing_of_another_organisation(
    session: aiohttp.ClientSession,
) -> None:
    """The answer is the same whether somebody else has the bytes or nobody."""
    await push(session, CONTENT, "base", **OTHER_ORG)
    for digest in (DIGEST, digest_of(b"nobody has this")):
        for source in ("&from=base", ""):
            path = f"/v2/team/iris/blobs/uploads/?mount={digest}{source}"
            assert (await call(session, "POST", path)).status == 202
        assert (await call(session, "HEAD", f"/v2/base/blobs/{digest}")).status == 404
    assert (await call(session, "HEAD", BLOB)).status == 404


async def test_an_upload_is_its_organisations_and_repositorys(
    session: aiohttp.ClientSession,
) -> None:
    upload = await begin(session)
    for path, headers in ((upload, OTHER_ORG), (upload.replace("team/iris", "other"), {})):
        for method in ("GET", "PATCH", "DELETE"):
            refused = await call(session, method, path, b"", **headers)
            assert (refused.status, refused.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert (await call(session, "GET", upload)).status == 204


@pytest.mark.parametrize("upload", ["x", str(UUID(int=9))])
async def test_an_upload_that_nobody_began_is_unknown(
    session: aiohttp.ClientSession, upload: str
) -> None:
    refused = await call(session, "PATCH", f"/v2/team/iris/blobs/uploads/{upload}", b"x")

    assert (refused.status, refused.code) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_quota_holds_for_images(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    await pool.execute("INSERT INTO limits VALUES ($1, 'stored_bytes', $2)", ORG, len(CONTENT))
    await push(session, CONTENT)

    refused = await call(
        session, "POST", f"/v2/b/blobs/uploads/?digest={digest_of(b'more')}", b"more"
    )

    assert (refused.status, refused.code) == (507, "DENIED")
    assert await stored(pool) == len(CONTENT)
    assert len([each for each in (registry.folder / "sha256").rglob("*") if each.is_file()]) == 1


async def test_an_upload_without_bytes_for_a_day_is_forgotten(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    upload = await begin(session)

    def later() -> datetime:
        return datetime.now(UTC) + timedelta(days=1, minutes=1)

    folder = registry.folder
    today = OciBlobs(Database(pool, bind), FileBlobs(folder), stay=timedelta(days=1))
    await today.forget_silent()
    assert (await call(session, "GET", upload)).status == 204
    tomorrow = OciBlobs(
        Database(pool, bind), FileBlobs(folder), stay=timedelta(days=1), clock=later
    )
    await tomorrow.forget_silent()

    assert (await call(session, "GET", upload)).status == 404
    assert staged(registry) == []
