"""sha512: other names for bytes and manifests; the bytes are there once."""

import json

import aiohttp

from libs.chassis.postgres import Pool
from tests.support.oci import (
    CONFIG,
    EMPTY,
    IMAGE,
    INDEX,
    LAYER,
    OTHER_ORG,
    begin,
    call,
    digest_of,
    push,
    put,
)
from tests.support.registry import Served

CONTENT = b"0123456789" * 1000
NAME = digest_of(CONTENT, "sha512")
BLOB = f"/v2/team/iris/blobs/{NAME}"


def named(content: bytes, media_type: str) -> dict[str, object]:
    digest = digest_of(content, "sha512")
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


async def push_so(session: aiohttp.ClientSession, content: bytes, **headers: str) -> None:
    upload = await begin(session, **headers)
    path = f"{upload}?digest={digest_of(content, 'sha512')}"
    done = await call(session, "PUT", path, content, **headers)
    assert done.status == 201, done.body
    assert done.headers["Docker-Content-Digest"] == digest_of(content, "sha512")


async def test_a_blob_is_pulled_by_the_name_that_it_was_pushed_by(
    session: aiohttp.ClientSession,
) -> None:
    await push_so(session, CONTENT)

    for path in (BLOB, f"/v2/team/iris/blobs/{digest_of(CONTENT)}"):
        seen = await call(session, "GET", path)
        assert (seen.status, seen.body) == (200, CONTENT)
        assert seen.headers["Docker-Content-Digest"] == path.rpartition("/")[2]
    mounted = await call(session, "POST", f"/v2/b/blobs/uploads/?mount={NAME}&from=team/iris")
    assert mounted.status == 201
    assert (await call(session, "GET", f"/v2/b/blobs/{NAME}")).body == CONTENT


async def test_two_names_are_one_blob(
    session: aiohttp.ClientSession, registry: Served, pool: Pool
) -> None:
    await push(session, CONTENT)
    await push_so(session, CONTENT)

    assert await pool.fetchval("SELECT committed_bytes FROM usage") == len(CONTENT)
    files = [each for each in (registry.folder / "sha256").rglob("*") if each.is_file()]
    assert len(files) == 1
    assert (await call(session, "DELETE", BLOB)).status == 202
    for digest in (NAME, digest_of(CONTENT)):
        gone = await call(session, "GET", f"/v2/team/iris/blobs/{digest}")
        assert gone.code == "BLOB_UNKNOWN"
    assert await pool.fetchval("SELECT committed_bytes FROM usage") == 0


async def test_other_bytes_than_the_name_says_are_refused(session: aiohttp.ClientSession) -> None:
    refused = await call(session, "PUT", f"{await begin(session)}?digest={NAME}", b"others")

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert (await call(session, "GET", BLOB)).code == "BLOB_UNKNOWN"


async def test_a_name_is_its_organisations(session: aiohttp.ClientSession) -> None:
    await push_so(session, CONTENT, **OTHER_ORG)
    await push(session, CONTENT)

    assert (await call(session, "GET", BLOB)).code == "BLOB_UNKNOWN"
    mount = await call(session, "POST", f"/v2/team/iris/blobs/uploads/?mount={NAME}")
    assert mount.status == 202


async def test_manifests_refer_and_are_referred_to_by_it(session: aiohttp.ClientSession) -> None:
    for each in (EMPTY, CONTENT):
        await push_so(session, each)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": named(EMPTY, CONFIG),
            "layers": [named(CONTENT, LAYER)],
            "subject": named(b"nothing", IMAGE),
        }
    ).encode()
    listing = json.dumps({"schemaVersion": 2, "manifests": [named(manifest, IMAGE)]}).encode()
    for content, kind in ((manifest, IMAGE), (listing, INDEX)):
        digest = digest_of(content, "sha512")
        done = await put(session, digest, content, media_type=kind)
        assert (done.status, done.headers["Docker-Content-Digest"]) == (201, digest)
        seen = await call(session, "GET", done.headers["Location"])
        assert (seen.body, seen.headers["Docker-Content-Digest"]) == (content, digest)
    subject = digest_of(b"nothing", "sha512")
    found = await call(session, "GET", f"/v2/team/iris/referrers/{subject}")
    listed = [each["digest"] for each in found.json["manifests"]]
    assert listed == [digest_of(manifest, "sha512")]
