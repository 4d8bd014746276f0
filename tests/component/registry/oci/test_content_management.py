"""Content management: what is deleted is gone here, and only here."""

import aiohttp

from libs.chassis.postgres import Pool
from tests.support.oci import EMPTY, OTHER_ORG, call, digest_of, push, push_image, put

MANIFESTS = "/v2/team/iris/manifests"


async def test_a_deleted_blob_is_gone_from_its_repository_alone(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    digest = await push(session, b"bytes", "one")
    await push(session, b"bytes", "two")
    await push(session, b"bytes", "one", **OTHER_ORG)

    assert (await call(session, "DELETE", f"/v2/one/blobs/{digest}")).status == 202

    assert (await call(session, "GET", f"/v2/one/blobs/{digest}")).code == "BLOB_UNKNOWN"
    assert (await call(session, "GET", f"/v2/two/blobs/{digest}")).body == b"bytes"
    assert (await call(session, "GET", f"/v2/one/blobs/{digest}", **OTHER_ORG)).status == 200
    assert (await call(session, "DELETE", f"/v2/one/blobs/{digest}")).code == "BLOB_UNKNOWN"
    paid = "SELECT sum(committed_bytes)::int FROM usage"
    assert await pool.fetchval(paid) == 10
    await call(session, "DELETE", f"/v2/two/blobs/{digest}")
    assert await pool.fetchval(paid) == 5


async def test_deleting_tags_leaves_their_manifest(session: aiohttp.ClientSession) -> None:
    manifest = await push_image(session, "v1")
    await put(session, "v2", manifest)

    assert (await call(session, "DELETE", f"{MANIFESTS}/v1")).status == 202

    assert (await call(session, "GET", f"{MANIFESTS}/v1")).code == "MANIFEST_UNKNOWN"
    for reference in ("v2", digest_of(manifest)):
        assert (await call(session, "GET", f"{MANIFESTS}/{reference}")).body == manifest
    assert (await call(session, "DELETE", f"{MANIFESTS}/v1")).code == "MANIFEST_UNKNOWN"


async def test_deleting_manifests_takes_their_tags_along(
    session: aiohttp.ClientSession, pool: Pool
) -> None:
    manifest = await push_image(session, "v1")
    await put(session, "v2", manifest)
    other = await push_image(session, "v3", b"layer")
    elsewhere = await push_image(session, "v1", name="elsewhere")
    path = f"{MANIFESTS}/{digest_of(manifest)}"

    assert (await call(session, "DELETE", path)).status == 202

    for reference in ("v1", "v2", digest_of(manifest)):
        assert (await call(session, "GET", f"{MANIFESTS}/{reference}")).status == 404
    assert (await call(session, "GET", f"{MANIFESTS}/v3")).body == other
    assert (await call(session, "GET", "/v2/elsewhere/manifests/v1")).body == elsewhere
    assert (await call(session, "DELETE", path)).code == "MANIFEST_UNKNOWN"
    paid = await pool.fetchval("SELECT committed_bytes FROM usage")
    assert paid == len(EMPTY) + len(b"layer") + len(other) + len(elsewhere)


async def test_a_manifest_that_was_deleted_is_pushed_again(session: aiohttp.ClientSession) -> None:
    manifest = await push_image(session)
    await call(session, "DELETE", f"{MANIFESTS}/{digest_of(manifest)}")

    assert (await put(session, "v1", manifest)).status == 201
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).body == manifest
