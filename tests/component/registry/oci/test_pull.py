"""Pull: a blob whole, as a range, or only its size; what is not the organisation's is not there."""

import aiohttp
import pytest

from tests.support.oci import OTHER_ORG, call, digest_of, push

CONTENT = b"0123456789" * 100


async def test_a_blob_has_its_size_and_digest(session: aiohttp.ClientSession) -> None:
    path = f"/v2/team/iris/blobs/{await push(session, CONTENT)}"
    for method in ("HEAD", "GET"):
        seen = await call(session, method, path)
        assert seen.status == 200
        assert seen.headers["Content-Length"] == str(len(CONTENT))
        assert seen.headers["Docker-Content-Digest"] == digest_of(CONTENT)
    assert (await call(session, "GET", path)).body == CONTENT


async def test_a_range_of_a_blob(session: aiohttp.ClientSession) -> None:
    path = f"/v2/team/iris/blobs/{await push(session, CONTENT)}"

    seen = await call(session, "GET", path, Range="bytes=5-14")
    beyond = await call(session, "GET", path, Range=f"bytes={len(CONTENT)}-")

    assert (seen.status, seen.body) == (206, CONTENT[5:15])
    assert seen.headers["Content-Range"] == f"bytes 5-14/{len(CONTENT)}"
    assert beyond.status == 416


async def test_a_blob_that_the_client_has_is_not_sent(session: aiohttp.ClientSession) -> None:
    digest = await push(session, CONTENT)

    path = f"/v2/team/iris/blobs/{digest}"
    known = await call(session, "GET", path, If_None_Match=f'"{digest}"')
    other = await call(session, "GET", path, If_None_Match=f'"{digest_of(b"other")}"')

    assert (known.status, known.body) == (304, b"")
    assert (other.status, other.body) == (200, CONTENT)


async def test_checking_if_content_exists(session: aiohttp.ClientSession) -> None:
    here = f"/v2/team/iris/blobs/{await push(session, CONTENT)}"

    assert (await call(session, "HEAD", here)).status == 200
    missing = await call(session, "HEAD", f"/v2/team/iris/blobs/{digest_of(b'none')}")
    assert (missing.status, missing.body) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/team/iris/nothing", 404, "NAME_UNKNOWN"),
        ("POST", "/v2/team/iris/manifests/v1", 405, "UNSUPPORTED"),
        ("GET", "/v2/team/iris/blobs/sha256:totallywrong", 400, "DIGEST_INVALID"),
        ("GET", "/v2/team//iris/manifests/v1", 400, "NAME_INVALID"),
        ("GET", "/v2/Team/tags/list", 400, "NAME_INVALID"),
    ],
)
async def test_error_codes_have_the_specifications_form(
    session: aiohttp.ClientSession, method: str, path: str, *, status: int, code: str
) -> None:
    refused = await call(session, method, path)

    assert (refused.status, refused.code) == (status, code)
    assert refused.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("name", "headers"), [("team/iris", OTHER_ORG), ("team/other", {}), ("nobody", {})]
)
async def test_a_blob_is_its_repositorys(
    session: aiohttp.ClientSession, name: str, headers: dict[str, str]
) -> None:
    digest = await push(session, CONTENT)
    refused = await call(session, "GET", f"/v2/{name}/blobs/{digest}", **headers)

    assert (refused.status, refused.code) == (404, "BLOB_UNKNOWN")
