"""Content discovery: tags in the order of their bytes, and what refers to a manifest."""

from typing import Any

import aiohttp
import pytest

from tests.support.oci import (
    EMPTY,
    IMAGE,
    INDEX,
    OTHER_ORG,
    Answer,
    call,
    described,
    digest_of,
    image,
    index,
    push,
    push_image,
    put,
)

TAGS = "/v2/team/iris/tags/list"
SBOM = "application/vnd.example.sbom"
SIGNATURE = "application/vnd.example.signature"


def following(answer: Answer) -> str | None:
    """Where the next page is."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    path, _, relation = link.partition(">")
    assert relation == '; rel="next"'
    return str(path.removeprefix("<"))


async def tagged(session: aiohttp.ClientSession, *tags: str) -> None:
    manifest = await push_image(session, tags[0])
    for tag in tags[1:]:
        await put(session, tag, manifest)


async def referring(session: aiohttp.ClientSession, subject: bytes, **more: Any) -> bytes:
    manifest = image(subject=described(subject, IMAGE), **more)
    done = await put(session, digest_of(manifest), manifest)
    assert done.headers["OCI-Subject"] == digest_of(subject)
    return manifest


async def listed(session: aiohttp.ClientSession, subject: bytes, query: str = "") -> Answer:
    path = f"/v2/team/iris/referrers/{digest_of(subject)}{query}"
    seen = await call(session, "GET", path)
    assert (seen.status, seen.headers["Content-Type"]) == (200, INDEX)
    assert (seen.json["schemaVersion"], seen.json["mediaType"]) == (2, INDEX)
    return seen


async def test_listing_tags_in_the_order_of_their_bytes(session: aiohttp.ClientSession) -> None:
    await tagged(session, "v2", "v10", "V1", "_x", "a.b", "a-b", "latest")

    seen = await call(session, "GET", TAGS)

    ordered = sorted(["v2", "v10", "V1", "_x", "a.b", "a-b", "latest"])
    assert (seen.status, seen.json) == (200, {"name": "team/iris", "tags": ordered})
    assert following(seen) is None


async def test_pages_of_tags_follow_each_other(session: aiohttp.ClientSession) -> None:
    await tagged(session, "a", "b", "c", "d", "e")
    path: str | None = f"{TAGS}?n=2"
    pages = []
    while path:
        seen = await call(session, "GET", path)
        pages.append(seen.json["tags"])
        path = following(seen)

    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert (await call(session, "GET", f"{TAGS}?n=2&last=bb")).json["tags"] == ["c", "d"]
    assert (await call(session, "GET", f"{TAGS}?last=d")).json["tags"] == ["e"]
    none = await call(session, "GET", f"{TAGS}?n=0")
    assert (none.json["tags"], following(none)) == ([], None)


@pytest.mark.parametrize("said", ["-1", "x", "", "1.5", "\u0661"])
async def test_a_number_of_tags_that_is_none_is_refused(
    session: aiohttp.ClientSession, said: str
) -> None:
    await push_image(session)

    refused = await call(session, "GET", f"{TAGS}?n={said}")

    assert (refused.status, refused.code) == (400, "UNSUPPORTED")


async def test_a_repository_without_tags_has_an_empty_list(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)

    assert (await call(session, "GET", TAGS)).json["tags"] == []


@pytest.mark.parametrize(
    ("name", "headers"), [("team/iris", OTHER_ORG), ("team", {}), ("team/iris/below", {})]
)
async def test_a_repository_that_nobody_here_has_is_unknown(
    session: aiohttp.ClientSession, name: str, headers: dict[str, str]
) -> None:
    await push_image(session)

    refused = await call(session, "GET", f"/v2/{name}/tags/list", **headers)

    assert (refused.status, refused.code) == (404, "NAME_UNKNOWN")


async def test_listing_referrers_with_their_types_and_annotations(
    session: aiohttp.ClientSession,
) -> None:
    subject = await push_image(session)
    plain = await referring(session, subject)
    typed = await referring(session, subject, artifactType=SBOM, annotations={"a": "\u00e9"})
    listing = index(subject, subject=described(subject, IMAGE), artifactType=SIGNATURE)
    await put(session, "signed", listing, media_type=INDEX)

    seen = await listed(session, subject)

    found = {each["digest"]: each for each in seen.json["manifests"]}
    config_type = "application/vnd.oci.image.config.v1+json"
    assert found == {
        digest_of(plain): described(plain, IMAGE) | {"artifactType": config_type},
        digest_of(typed): described(typed, IMAGE)
        | {"artifactType": SBOM, "annotations": {"a": "\u00e9"}},
        digest_of(listing): described(listing, INDEX) | {"artifactType": SIGNATURE},
    }
    assert "OCI-Filters-Applied" not in seen.headers


async def test_referrers_are_filtered_by_their_type(session: aiohttp.ClientSession) -> None:
    subject = await push_image(session)
    await referring(session, subject, artifactType=SBOM)
    signature = await referring(session, subject, artifactType=SIGNATURE)

    seen = await listed(session, subject, f"?artifactType={SIGNATURE}")

    assert [each["digest"] for each in seen.json["manifests"]] == [digest_of(signature)]
    assert seen.headers["OCI-Filters-Applied"] == "artifactType"
    nothing = await listed(session, subject, "?artifactType=application/x")
    assert nothing.json["manifests"] == []
    assert nothing.headers["OCI-Filters-Applied"] == "artifactType"


async def test_referrers_come_before_their_subject(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    early = await referring(session, image(annotations={"n": "1"}))

    seen = await listed(session, image(annotations={"n": "1"}))

    assert [each["digest"] for each in seen.json["manifests"]] == [digest_of(early)]


async def test_pages_of_referrers_fit_into_what_clients_read(
    session: aiohttp.ClientSession,
) -> None:
    subject = await push_image(session)
    large = {"a": "x" * 2**20}
    sent = {
        digest_of(
            await referring(session, subject, artifactType=SBOM, annotations=large | {"n": str(n)})
        )
        for n in range(5)
    }
    path: str | None = f"/v2/team/iris/referrers/{digest_of(subject)}?artifactType={SBOM}"
    pages = []
    while path:
        seen = await call(session, "GET", path)
        assert len(seen.body) < 4 * 2**20
        pages.append([each["digest"] for each in seen.json["manifests"]])
        path = following(seen)

    assert [len(each) for each in pages] == [2, 2, 1]
    assert [each for page in pages for each in page] == sorted(sent)


async def test_referrers_are_never_404_and_tell_nothing_of_others(
    session: aiohttp.ClientSession,
) -> None:
    """The specification forbids a 404 here: nothing is listed, whoever has it."""
    subject = await push_image(session)
    await referring(session, subject)
    digest = digest_of(subject)
    for name, headers in (("team/iris", OTHER_ORG), ("team/other", {}), ("nobody", {})):
        seen = await call(session, "GET", f"/v2/{name}/referrers/{digest}", **headers)
        assert (seen.status, seen.json["manifests"]) == (200, [])


async def test_a_deleted_referrer_is_not_listed(session: aiohttp.ClientSession) -> None:
    subject = await push_image(session)
    manifest = await referring(session, subject)

    await call(session, "DELETE", f"/v2/team/iris/manifests/{digest_of(manifest)}")

    assert (await listed(session, subject)).json["manifests"] == []


@pytest.mark.parametrize(
    "query", ["tags/list?last=a%00b", f"referrers/{digest_of(b'')}?artifactType=a%00b"]
)
async def test_what_no_name_can_have_is_refused(session: aiohttp.ClientSession, query: str) -> None:
    refused = await call(session, "GET", f"/v2/team/iris/{query}")

    assert (refused.status, refused.code) == (400, "UNSUPPORTED")


async def test_referrers_of_what_is_no_digest_are_refused(session: aiohttp.ClientSession) -> None:
    refused = await call(session, "GET", "/v2/team/iris/referrers/v1")

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
