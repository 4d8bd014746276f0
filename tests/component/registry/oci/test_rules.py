"""Tags that stay where they are: rules of a repository, held in the transaction that moves."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.oci import EMPTY, OTHER_ORG, call, digest_of, image, push, push_image, put
from tests.support.registry import send

RULES = "/api/registry/images/team/iris/rules"
MANIFESTS = "/v2/team/iris/manifests"


async def ruled(session: aiohttp.ClientSession, *patterns: str) -> None:
    status, answer = await send(session, "PUT", RULES, {"immutable": patterns})
    assert (status, answer) == (200, {"immutable": list(patterns)})


async def test_rules_are_set_and_read(session: aiohttp.ClientSession) -> None:
    assert await send(session, "GET", RULES) == (200, {"immutable": []})
    await ruled(session, "v*", "release-?")
    assert await send(session, "GET", RULES) == (200, {"immutable": ["v*", "release-?"]})
    await ruled(session)
    assert await send(session, "GET", RULES) == (200, {"immutable": []})


@pytest.mark.parametrize(
    "body", [{}, {"immutable": ["a/b"]}, {"immutable": [""]}, {"immutable": [], "x": 1}]
)
async def test_what_is_no_rule_is_refused(
    session: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    assert (await send(session, "PUT", RULES, body))[0] == 422


async def test_an_immutable_tag_is_pushed_once(session: aiohttp.ClientSession) -> None:
    await ruled(session, "x", "v*")
    first = await push_image(session, "v1")
    await push(session, b"layer")

    refused = await put(session, "v1", image(b"layer"))

    assert (refused.status, refused.code) == (403, "DENIED")
    assert refused.json["errors"][0]["detail"]["rule"] == "v*"
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).body == first
    missing = await call(session, "GET", f"{MANIFESTS}/{digest_of(image(b'layer'))}")
    assert missing.status == 404, "nothing of a refused push is kept"


async def test_an_immutable_tag_may_be_pushed_as_it_is(session: aiohttp.ClientSession) -> None:
    await ruled(session, "v*")
    manifest = await push_image(session, "v1")

    assert (await put(session, "v1", manifest)).status == 201


async def test_an_immutable_tag_is_not_deleted_nor_is_its_manifest(
    session: aiohttp.ClientSession,
) -> None:
    manifest = await push_image(session, "v1")
    await put(session, "latest", manifest)
    await ruled(session, "v*")

    for reference in ("v1", digest_of(manifest)):
        refused = await call(session, "DELETE", f"{MANIFESTS}/{reference}")
        assert (refused.status, refused.code) == (403, "DENIED")
        assert "'v*'" in refused.json["errors"][0]["message"]
    assert (await call(session, "DELETE", f"{MANIFESTS}/latest")).status == 202


async def test_other_tags_and_repositories_and_organisations_move(
    session: aiohttp.ClientSession,
) -> None:
    await ruled(session, "v*")
    for tag, name, headers in (
        ("latest", "team/iris", {}),
        ("V1", "team/iris", {}),
        ("v1", "team/other", {}),
        ("v1", "team/iris", OTHER_ORG),
    ):
        await push_image(session, tag, b"one", name=name, **headers)
        await push_image(session, tag, b"two", name=name, **headers)


async def test_of_many_pushes_to_an_immutable_tag_one_wins(session: aiohttp.ClientSession) -> None:
    await ruled(session, "v*")
    await push(session, EMPTY)
    sent = [image(annotations={"n": str(n)}) for n in range(6)]

    done = await asyncio.gather(*(put(session, "v1", each) for each in sent))

    assert sorted(each.status for each in done) == [201] + [403] * 5
    [winner] = [each.headers["Docker-Content-Digest"] for each in done if each.status == 201]
    assert digest_of((await call(session, "GET", f"{MANIFESTS}/v1")).body) == winner
