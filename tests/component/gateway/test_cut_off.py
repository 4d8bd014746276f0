"""A control plane that is away takes no endpoint down."""

import os
import signal
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from tests.support import postgres
from tests.support.edge import OURS, Surroundings, model, models
from tests.support.nats import NatsServer


async def organisation(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int((await connection.fetchval("SELECT id FROM org")).int)
    finally:
        await connection.close()


def kill_postgres(folder: Path) -> None:
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(postgres.URL in os.environ, reason="a given server is not killed")
async def test_a_data_plane_that_is_cut_off_keeps_serving(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    (tmp_path / "pg").mkdir()
    with postgres.running(tmp_path / "pg") as server:
        database = server.url(await server.make("gateway"))
        around = Surroundings(tmp_path, database, nats_server.url("gateway"))
        async with around.gateway():
            pass  # makes the organisation
        org = await organisation(around.database_url)
        async with models(model([web.get("/", hello)])) as [url]:
            around.deployer.put("open", url)
            around.deployer.put("guarded", url, org=org, access_authorization=True)
            async with around.gateway() as gateway:

                async def status(endpoint: str, **headers: str) -> int:
                    at = gateway.at(endpoint)
                    async with gateway.session.get(at, headers=headers) as answer:
                        return answer.status

                assert await status("guarded", **OURS) == 200
                nats_server.kill()
                assert await status("open") == 200
                kill_postgres(tmp_path / "pg")
                for _ in range(20):
                    assert await status("open") == 200
                assert await status("guarded", **OURS) == 200, "a token that it knows"
                stranger = "Bearer yok_" + "9" * 48
                assert await status("guarded", Authorization=stranger) == 503
