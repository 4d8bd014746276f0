"""What was stored before there were quotas is counted like everything else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg

from libs.chassis.blobs import FileBlobs
from libs.chassis.migrate import load
from libs.chassis.postgres import Database, create_pool
from services.registry.service import INTERRUPTED, Uploads
from services.registry.wiring import bind
from tests.support.postgres import PostgresServer
from tests.support.registry import ORG, usage

_EARLIER: Final = """
    INSERT INTO repository VALUES (gen_random_uuid(), $1, 'bento', 'iris', '', now());
"""
_BLOB: Final = "INSERT INTO blob (digest, size_bytes, chunks) VALUES ($1, $2, '')"
_VERSION: Final = """
    INSERT INTO version (id, org_id, repository_id, version, description, manifest, labels,
                         build_at, created_at, updated_at, upload_status, digest)
    SELECT gen_random_uuid(), org_id, id, $1, '', '{}', '{}', now(), now(), now(), $2, $3
    FROM repository
"""


async def test_what_was_stored_and_under_way_before_is_taken_over(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    first, *later = load("services.registry")
    async with postgres_server.database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(first.sql)
        await connection.execute(_EARLIER, ORG)
        for version, status, size in (("v1", "success", 70), ("v2", "failed", 30)):
            await connection.execute(_BLOB, f"sha256:{version}", size)
            await connection.execute(_VERSION, version, status, f"sha256:{version}")
        await connection.execute(_VERSION, "v3", "uploading", None)
        for migration in later:
            await connection.execute(migration.sql)
        await connection.close()

        async with create_pool(url, max_size=1, application_name="test") as pool:
            assert await usage(pool) == (0, 100)
            counted = await pool.fetchrow("SELECT live_versions, uploaded_versions FROM repository")
            assert tuple(counted or ()) == (3, 1)
            uploads = Uploads(
                Database(pool, bind),
                FileBlobs(tmp_path),
                silence=timedelta(minutes=1),
                clock=lambda: datetime.now(UTC) + timedelta(minutes=3),
            )
            assert await uploads.fail_silent() == 1
            assert await usage(pool) == (0, 100)
            said = await pool.fetchval("SELECT upload_reason FROM version WHERE version = 'v3'")
            assert said == INTERRUPTED
