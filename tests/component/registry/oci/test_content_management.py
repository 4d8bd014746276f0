"""Content management: what is deleted is gone here, and only here."""

import aiohttp

from libs.chassis.postgres import Pool
from tests.support.oci import OTHER_ORG, call, push


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
