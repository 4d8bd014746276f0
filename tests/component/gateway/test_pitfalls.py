"""What BentoML's clients stumble over on their way to the registry; they cannot be changed."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import aiohttp
import pytest
import yaml
from yarl import URL

from services.gateway.http import api
from tests.support.edge import TOKEN, Gateway
from tests.support.registry import BENTOS, archive, create, pieces, send

TOP: Final = "/api/v1/model_repositories"


@pytest.fixture
async def session(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    """As the uploads of 1.4 write their header; what is compressed is shown as it came."""
    headers = {"x-yatai-api-token": TOKEN, "X-Bentoml-Version": "1.4.39"}
    async with aiohttp.ClientSession(gateway.api, headers=headers, auto_decompress=False) as opened:
        yield opened


async def make(session: aiohttp.ClientSession, name: str, **more: object) -> str:
    """A model with that name and version; its path."""
    assert (await send(session, "POST", TOP, {"name": name}))[0] == 200
    manifest = {"module": "m", "api_version": "v1", "bentoml_version": "1", "size_bytes": 1}
    at = "2026-11-20 10:09:03.538404"
    body = {"version": name, "manifest": manifest, "build_at": at, "labels": [], **more}
    status, made = await send(session, "POST", f"{TOP}/{name}/models", body)
    assert status == 200, made
    return f"{TOP}/{name}/models/{name}"


async def test_every_name_that_clients_give_passes(session: aiohttp.ClientSession) -> None:
    """Points, which look like a way up and are none; and what YAML does not take for a text."""
    dotted = ("a", "a..b", "a._-b", "x" * 63)
    for name in (*dotted, "0", "010", "1e5", "1.0", "1_000", "null", "2026-11-20", "on"):
        one = await make(session, name)
        written = yaml.safe_dump(name).split()[0]
        content = archive(written, name="model.yaml", repository=written)
        status, seen = await send(session, "PUT", f"{one}/upload", content)
        assert (status, seen["upload_status"]) == (200, "success"), seen
        assert await send(session, "GET", f"{one}/download") == (200, content)


async def test_a_pull_is_as_long_as_it_says_and_not_compressed(
    session: aiohttp.ClientSession,
) -> None:
    """Its progress bar counts against the length; whatever it accepts, a tar is sent as it is."""
    await create(session, "v1")
    sent = archive("v1", payload=bytes(9 * 2**20))
    assert (await send(session, "PUT", f"{BENTOS}/v1/upload", sent))[0] == 200
    accepts = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    async with session.get(f"{BENTOS}/v1/download", headers=accepts) as answer:
        assert answer.headers["Content-Length"] == str(len(sent))
        assert not {"Content-Encoding", "Transfer-Encoding"} & set(answer.headers)
        assert await answer.read() == sent


async def test_requests_that_announce_json_and_bring_nothing_are_answered(
    session: aiohttp.ClientSession,
) -> None:
    """1.0 to 1.3 say so with each of their requests; those that change have a length of 0."""
    await create(session, "v1")
    headers = {"Content-Type": "application/json"}
    steps = ("presign_upload_url", "start_upload", "presign_download_url")
    asked = [("GET", f"{BENTOS}/v1"), *(("PATCH", f"{BENTOS}/v1/{step}") for step in steps)]
    for method, path in asked:
        async with session.request(method, path, headers=headers, data=b"") as answer:
            assert answer.status == 200, (path, await answer.text())


async def test_a_readme_of_three_megabytes_passes(session: aiohttp.ClientSession) -> None:
    text = "\N{SLOTH}" * 750_000
    one = await make(session, "iris", description=text)
    assert (await send(session, "GET", one))[1]["description"] == text


async def test_nobody_is_sent_elsewhere(session: aiohttp.ClientSession) -> None:
    """No client since 1.2 follows a redirect: whoever forgets a slash is told that it is wrong."""
    await create(session, "v1")
    for path in ("/api/v1//bentos", "/api/v1/bento_repositories/", f"{BENTOS}/v1/", "/api/v1/"):
        for method in ("GET", "PATCH"):
            async with session.request(
                method, URL(path, encoded=True), allow_redirects=False
            ) as answer:
                assert 400 <= answer.status < 500, path


async def test_people_are_shown_why_there_is_no_room(session: aiohttp.ClientSession) -> None:
    """Beside ``x-trace-id`` a client hides the text of an error of the server's."""
    await create(session, "v1")
    headers = {"Content-Length": str(10**18), "Expect": "100-continue"}
    async with session.put(f"{BENTOS}/v1/upload", data=b"", headers=headers) as answer:
        problem = json.loads(await answer.read())
        assert (answer.status, problem["type"]) == (507, "/problems/no-space")
        assert "x-trace-id" not in answer.headers
    assert "free" in problem["error"] == problem["message"] == problem["detail"]


async def test_a_slow_push_may_take_longer_than_anybody_is_waited_for(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients send for up to ten hours, in which nothing comes back."""
    monkeypatch.setattr(api, "_SILENCE", timedelta(seconds=0.5))
    await create(session, "v1")
    sent = archive("v1")
    slowly = pieces(sent, sizes=len(sent) // 12, pause=0.1)
    headers = {"Content-Length": str(len(sent))}
    async with session.put(f"{BENTOS}/v1/upload", data=slowly, headers=headers) as answer:
        seen: Any = await answer.json()
        assert (answer.status, seen["upload_status"]) == (200, "success")
