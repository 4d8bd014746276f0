"""A model's author never receives a caller's token; a protected endpoint wants one."""

import asyncpg
from aiohttp import web

from tests.support.edge import OURS, TOKEN, Surroundings, model, models

THEIRS = "Bearer the-models-own-secret"


async def tell(request: web.Request) -> web.Response:
    """Everything that the model received."""
    return web.json_response(
        {"headers": [[name.lower(), value] for name, value in request.headers.items()]}
    )


async def told_by_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json([[name.lower(), value] for name, value in request.headers.items()])
    await socket.close()
    return socket


async def test_no_credential_of_ours_reaches_the_model(around: Surroundings) -> None:
    app = model([web.get("/tell", tell), web.get("/socket", told_by_socket)])
    async with models(app) as [url]:
        around.deployer.put("open", url)
        async with around.gateway() as gateway:
            for given in (
                OURS,
                {"Authorization": f"Bearer {TOKEN}"},
                {"Authorization": f"bearer  {TOKEN}"},
                {"Authorization": f"Token {TOKEN}"},
                {"Cookie": f"yokocho={TOKEN}; mine=1"},
            ):
                async with gateway.session.get(
                    gateway.at("open", "/tell"), headers=given
                ) as answer:
                    assert answer.status == 200
                    assert TOKEN not in await answer.text(), given
                async with gateway.session.ws_connect(
                    gateway.at("open", "/socket"), headers=given
                ) as socket:
                    assert TOKEN not in await socket.receive_str(), given


async def test_what_is_the_models_own_passes(around: Surroundings) -> None:
    async with models(model([web.get("/tell", tell)])) as [url]:
        around.deployer.put("open", url)
        async with around.gateway() as gateway:
            given = {"Authorization": THEIRS, "Cookie": "mine=1"}
            async with gateway.session.get(gateway.at("open", "/tell"), headers=given) as answer:
                headers = dict((await answer.json())["headers"])
    assert headers["authorization"] == THEIRS
    assert headers["cookie"] == "mine=1"
    assert headers["x-forwarded-prefix"] == "/default/open"


async def test_a_protected_endpoint_wants_a_token_of_its_organisation(
    around: Surroundings,
) -> None:
    async with models(model([web.get("/tell", tell)])) as [url]:
        async with around.gateway():
            pass  # makes the organisation
        connection = await asyncpg.connect(around.database_url)
        org = await connection.fetchval("SELECT id FROM org")
        await connection.close()
        around.deployer.put("ours", url, org=org.int, access_authorization=True)
        around.deployer.put("theirs", url, org=7, access_authorization=True)
        async with around.gateway() as gateway:

            async def status(name: str, **headers: str) -> int:
                async with gateway.session.get(
                    gateway.at(name, "/tell"), headers=headers
                ) as answer:
                    return answer.status

            assert await status("ours") == 401
            assert await status("ours", Authorization=THEIRS) == 401
            assert await status("ours", **OURS) == 200
            assert await status("ours", Authorization=f"Bearer {TOKEN}") == 200
            assert await status("theirs", **OURS) == 403


async def test_a_models_cookie_and_redirect_stay_below_its_path(around: Surroundings) -> None:
    async def leave(_: web.Request) -> web.Response:
        answer = web.Response(status=302, headers={"Location": "/elsewhere"})
        answer.set_cookie("session", "1", path="/", domain="127.0.0.1")
        return answer

    async with models(model([web.get("/leave", leave)])) as [url]:
        around.deployer.put("open", url)
        async with around.gateway() as gateway:
            at = gateway.at("open", "/leave")
            async with gateway.session.get(at, allow_redirects=False) as answer:
                assert answer.headers["Location"] == "/default/open/elsewhere"
                assert "Path=/default/open" in answer.headers["Set-Cookie"]
                assert "omain" not in answer.headers["Set-Cookie"]
