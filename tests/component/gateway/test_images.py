"""Images through the gateway: Docker's tokens, what they are good for, and bodies that stream."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import pytest
from yarl import URL

from libs.chassis.auth import Signer
from libs.contracts.identity import Principal
from services.gateway.routing.images import asked
from services.gateway.service.images import ImageTokens
from tests.support.edge import OURS, TOKEN, Gateway, Surroundings
from tests.support.oci import Answer, begin, call, digest_of, push, push_image

BASIC = f"Basic {base64.b64encode(f'anybody:{TOKEN}'.encode()).decode()}"
BEARER = f"Bearer {TOKEN}"
MANIFEST = "/v2/team/iris/manifests/v1"


@pytest.fixture
async def session(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.api) as session:
        yield session


async def token(session: aiohttp.ClientSession, *scopes: str, given: str = BASIC) -> str:
    """An ``Authorization`` that is good for ``scopes``."""
    query = "".join(f"&scope={each}" for each in scopes)
    path = f"/v2/token?service=yokocho&account=anybody{query}"
    answer = await call(session, "GET", path, Authorization=given)
    assert answer.status == 200, answer.body
    assert answer.json["token"] == answer.json["access_token"]
    assert 0 < answer.json["expires_in"] <= 300
    assert TOKEN not in json.dumps(answer.json)
    return f"Bearer {answer.json['token']}"


def refused(answer: Answer, status: int, code: str) -> str:
    """The challenge that is sent along."""
    assert (answer.status, answer.code) == (status, code)
    return str(answer.headers.get("WWW-Authenticate", ""))


async def test_who_comes_without_a_token_is_told_where_to_get_one(
    session: aiohttp.ClientSession, gateway: Gateway
) -> None:
    realm = f'Bearer realm="{gateway.api}/v2/token",service="yokocho"'

    assert refused(await call(session, "GET", "/v2/"), 401, "UNAUTHORIZED") == realm
    said = refused(await call(session, "PUT", MANIFEST, b"{}"), 401, "UNAUTHORIZED")
    assert said == f'{realm},scope="repository:team/iris:pull,push"'
    for wrong in ("Bearer nonsense", "Bearer a.b.c", "Basic !", "Basic YTpi", f"Digest {TOKEN}"):
        answer = await call(session, "GET", "/v2/", Authorization=wrong)
        assert refused(answer, 401, "UNAUTHORIZED") == realm


async def test_a_host_that_would_forge_the_challenge_is_not_repeated(
    session: aiohttp.ClientSession,
) -> None:
    answer = await call(session, "GET", "/v2/", Host='x",realm="http://evil')

    assert refused(answer, 401, "UNAUTHORIZED") == 'Basic realm="yokocho"'


@pytest.mark.parametrize("given", [BASIC, BEARER])
async def test_a_token_of_the_platform_is_good_for_everything(
    session: aiohttp.ClientSession, given: str
) -> None:
    manifest = await push_image(session, Authorization=given)

    assert (await call(session, "GET", MANIFEST, Authorization=given)).body == manifest
    assert (await call(session, "DELETE", MANIFEST, Authorization=given)).status == 202


async def test_a_pull_token_cannot_push(session: aiohttp.ClientSession) -> None:
    manifest = await push_image(session, Authorization=BASIC)
    pull = await token(session, "repository:team/iris:pull")

    assert (await call(session, "GET", "/v2/", Authorization=pull)).status == 200
    assert (await call(session, "GET", MANIFEST, Authorization=pull)).body == manifest
    for method, path, action in (
        ("PUT", MANIFEST, "pull,push"),
        ("POST", "/v2/team/iris/blobs/uploads/", "pull,push"),
        ("DELETE", MANIFEST, "delete"),
    ):
        answer = await call(session, method, path, b"", Authorization=pull)
        said = refused(answer, 401, "UNAUTHORIZED")
        assert said.endswith(f'scope="repository:team/iris:{action}",error="insufficient_scope"')
    other = await call(session, "GET", "/v2/team/other/manifests/v1", Authorization=pull)
    refused(other, 401, "UNAUTHORIZED")


async def test_a_push_token_pushes_to_its_repository(session: aiohttp.ClientSession) -> None:
    given = await token(session, "repository:team/iris:pull,push")

    manifest = await push_image(session, Authorization=given)

    assert (await call(session, "GET", MANIFEST, Authorization=given)).body == manifest
    answer = await call(session, "DELETE", MANIFEST, Authorization=given)
    refused(answer, 401, "UNAUTHORIZED")


async def test_a_token_for_images_gets_no_further(session: aiohttp.ClientSession) -> None:
    """Neither another token, nor anything of the platform's own API."""
    given = await token(session, "repository:team/iris:pull")

    answer = await call(session, "GET", "/v2/token?scope=repository:a:push", Authorization=given)
    assert refused(answer, 401, "UNAUTHORIZED") == 'Basic realm="yokocho"'
    for path in ("/api/v1/auth/current", "/api/registry/images/team/iris/rules"):
        assert (await call(session, "GET", path, Authorization=given)).status == 401
    another = {"X-Yatai-Organization": "another"}
    answer = await call(session, "GET", "/v2/", Authorization=given, **another)
    refused(answer, 403, "DENIED")


async def test_a_mount_reaches_no_further_than_its_token(session: aiohttp.ClientSession) -> None:
    digest = await push(session, b"secret", "base", Authorization=BASIC)
    path = f"/v2/team/iris/blobs/uploads/?mount={digest}"
    narrow = await token(session, "repository:team/iris:pull,push")
    wide = await token(session, "repository:team/iris:pull,push", "repository:base:pull")

    refused(
        await call(session, "POST", f"{path}&from=base", Authorization=narrow), 401, "UNAUTHORIZED"
    )
    assert (await call(session, "POST", path, Authorization=narrow)).status == 202
    assert (await call(session, "POST", f"{path}&from=base", Authorization=wide)).status == 201


async def test_what_was_not_signed_for_images_is_refused(
    session: aiohttp.ClientSession, around: Surroundings
) -> None:
    keys = around.folder / "keys"
    caller = Principal(actor="user:1", issuer="gateway", org_id=UUID(int=1), org="default")
    access = asked(["repository:team/iris:pull"])

    def forged(service: str, *, age: timedelta = timedelta()) -> str:
        tokens = ImageTokens(
            keys / f"{service}.pem", keys / "public.json", clock=lambda: datetime.now(UTC) - age
        )
        return f"Bearer {tokens.issue(caller, access, until=None)[0]}"

    identity = Signer("gateway", keys / "gateway.pem").token(
        "user:1", audience="registry", org_id=UUID(int=1), org="default"
    )
    ours = forged("gateway")
    assert (await call(session, "GET", "/v2/", Authorization=ours)).status == 200
    for given in (
        forged("registry"),
        forged("gateway", age=timedelta(minutes=6)),
        f"Bearer {identity}",
        ours[:-4] + "AAAA",
    ):
        answer = await call(session, "GET", "/v2/", Authorization=given)
        refused(answer, 401, "UNAUTHORIZED")


async def test_rules_are_set_with_a_token_of_the_platform(session: aiohttp.ClientSession) -> None:
    async with session.put(
        "/api/registry/images/team/iris/rules", json={"immutable": ["v*"]}, headers=OURS
    ) as answer:
        assert answer.status == 200


async def test_refusals_of_either_have_the_specifications_form(
    session: aiohttp.ClientSession,
) -> None:
    for path, status, code in (
        ("/v2/team/iris/manifests/none", 404, "MANIFEST_UNKNOWN"),
        ("/v2/nothing", 404, "NAME_UNKNOWN"),
        ("/v2/a;b/tags/list", 400, "UNSUPPORTED"),
        ("/v2/Team/tags/list", 400, "NAME_INVALID"),
    ):
        async with session.get(URL(path, encoded=True), headers=OURS) as answer:
            assert answer.status == status
            assert (await answer.json())["errors"][0]["code"] == code


async def test_without_a_registry_the_refusal_has_that_form_too(around: Surroundings) -> None:
    async with around.gateway() as gateway, aiohttp.ClientSession(gateway.api) as session:
        answer = await call(session, "GET", "/v2/", Authorization=BASIC)

    assert (answer.status, answer.code) == (503, "TOOMANYREQUESTS")
    assert "Retry-After" in answer.headers


async def test_ranges_and_conditions_pass_through(session: aiohttp.ClientSession) -> None:
    digest = await push(session, b"0123456789", Authorization=BASIC)
    path = f"/v2/team/iris/blobs/{digest}"

    part = await call(session, "GET", path, Authorization=BASIC, Range="bytes=2-4")
    known = await call(session, "GET", path, Authorization=BASIC, If_None_Match=f'"{digest}"')
    head = await call(session, "HEAD", path, Authorization=BASIC)

    assert (part.status, part.body) == (206, b"234")
    assert (known.status, known.body) == (304, b"")
    assert (head.status, head.headers["Content-Length"]) == (200, "10")


async def raw(gateway: Gateway, head: str, body: bytes) -> tuple[bytes, bool]:
    """Status line of the final answer, and whether the body was invited before it."""
    parts = urlsplit(gateway.api)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"{head} HTTP/1.1\r\nHost: test\r\nAuthorization: {BASIC}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(5):
            line = await reader.readline()
            invited = line.startswith(b"HTTP/1.1 100")
            if invited:
                await reader.readline()
                writer.write(body)
                line = await reader.readline()
            return line, invited
    finally:
        writer.close()


async def test_uploads_are_invited_by_the_registry(
    gateway: Gateway, session: aiohttp.ClientSession
) -> None:
    content = b"x" * 2**20
    upload = await begin(session, Authorization=BASIC)
    stranger = upload.replace("team/iris", "team/other")

    line, invited = await raw(gateway, f"PATCH {stranger}", content)
    assert (line.split()[1], invited) == (b"404", False)
    line, invited = await raw(gateway, f"PUT {upload}?digest={digest_of(content)}", content)
    assert (line.split()[1], invited) == (b"201", True)


async def test_uploads_stream_through_both(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The registry writes what came while the client has not sent the rest."""
    piece, seen = b"y" * 2**20, hashlib.sha256()
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for n in range(12):
            if n == 11:
                await go_on.wait()
            seen.update(piece)
            yield piece

    upload = await begin(session, Authorization=BASIC)
    sending: asyncio.Task[Any] = asyncio.create_task(
        call(session, "PATCH", upload, body(), Authorization=BASIC)
    )
    async with asyncio.timeout(10):
        receiving = tmp_path / "blobs" / "receiving"
        while not any(each.stat().st_size for each in receiving.iterdir()):
            await asyncio.sleep(0.01)
        go_on.set()
        assert (await sending).status == 202
    path = f"{upload}?digest=sha256:{seen.hexdigest()}"
    assert (await call(session, "PUT", path, Authorization=BASIC)).status == 201
