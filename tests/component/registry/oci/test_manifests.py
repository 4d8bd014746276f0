"""Push and pull of manifests: bytes as they were sent, and nothing that lacks what it needs."""

import asyncio
import json

import aiohttp
import pytest

from libs.chassis.postgres import Pool
from services.registry.manifests import LIMIT
from tests.support.oci import (
    CONFIG,
    EMPTY,
    IMAGE,
    INDEX,
    OTHER_ORG,
    call,
    described,
    digest_of,
    image,
    index,
    push,
    push_image,
    put,
)
from tests.support.registry import ORG

MANIFESTS = "/v2/team/iris/manifests"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


async def test_pushing_manifests_answers_where_it_is(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    manifest = image()

    done = await put(session, "v1", manifest)

    assert done.status == 201
    assert done.headers["Docker-Content-Digest"] == digest_of(manifest)
    assert (await call(session, "GET", done.headers["Location"])).body == manifest
    assert "OCI-Subject" not in done.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_pulling_manifests_by_tag_and_digest(
    session: aiohttp.ClientSession, method: str
) -> None:
    manifest = await push_image(session)
    for reference in ("v1", digest_of(manifest)):
        seen = await call(session, method, f"{MANIFESTS}/{reference}")

        assert (seen.status, seen.headers["Content-Type"]) == (200, IMAGE)
        assert seen.headers["Docker-Content-Digest"] == digest_of(manifest)
        assert seen.headers["Content-Length"] == str(len(manifest))
        assert seen.body == (manifest if method == "GET" else b"")


async def test_a_manifest_is_kept_byte_by_byte(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    odd = b"\n " + image(unknown="\u00e9").replace(b", ", b" ,\t") + b"\n"

    await put(session, digest_of(odd), odd)

    assert (await call(session, "GET", f"{MANIFESTS}/{digest_of(odd)}")).body == odd


async def test_a_manifest_that_the_client_has_is_not_sent(session: aiohttp.ClientSession) -> None:
    digest = digest_of(await push_image(session))

    seen = await call(session, "GET", f"{MANIFESTS}/v1", If_None_Match=f'"{digest}"')

    assert (seen.status, seen.body) == (304, b"")


@pytest.mark.parametrize("reference", ["v2", digest_of(b"x"), ".INVALID_MANIFEST_NAME", "a" * 129])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_manifest_that_is_not_there_is_404(
    session: aiohttp.ClientSession, method: str, reference: str
) -> None:
    await push_image(session)

    refused = await call(session, method, f"{MANIFESTS}/{reference}")

    assert refused.status == 404
    assert method == "HEAD" or refused.code == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize("tag", ["v1", "V_1.0-rc.1", "_", "0" * 128])
async def test_a_tag_is_up_to_128_characters(session: aiohttp.ClientSession, tag: str) -> None:
    manifest = await push_image(session, tag)

    assert (await call(session, "GET", f"{MANIFESTS}/{tag}")).body == manifest


@pytest.mark.parametrize("tag", [".v", "-v", "a" * 129, "v+1", "v%201", "\u00e9"])
async def test_what_is_no_tag_is_refused(session: aiohttp.ClientSession, tag: str) -> None:
    await push(session, EMPTY)

    refused = await put(session, tag, image())

    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


async def test_another_digest_than_the_bytes_is_refused(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    for reference in (digest_of(b"others"), "sha256:totallywrong", "sha512:" + "0" * 128):
        refused = await put(session, reference, image())
        assert (refused.status, refused.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        json.dumps({"schemaVersion": 1}).encode(),
        image(layers=None),
        image(layers=[{"digest": "x", "size": 1}]),
        image(layers=[{"digest": digest_of(b""), "size": -1}]),
        image(mediaType=INDEX),
        image(subject={"digest": "../../etc/passwd", "size": 1}),
        image(annotations={"a": 1}),
        image(artifactType="a\0b"),
        image(config={"mediaType": "a\0b", "digest": digest_of(EMPTY), "size": 2}),
    ],
    ids=range(14),
)
async def test_what_is_no_manifest_is_refused(
    session: aiohttp.ClientSession, content: bytes
) -> None:
    await push(session, EMPTY)

    refused = await put(session, "v1", content)

    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).status == 404


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", DOCKER])
async def test_a_media_type_that_is_not_the_documents_is_refused(
    session: aiohttp.ClientSession, media_type: str
) -> None:
    await push(session, EMPTY)

    refused = await put(session, "v1", image(), media_type=media_type)

    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


async def test_a_manifest_of_4_mib_is_accepted_and_a_larger_one_is_413(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, EMPTY)
    bare = len(image(annotations={"a": ""}))
    largest = image(annotations={"a": "x" * (LIMIT - bare)})

    assert (await put(session, "v1", largest)).status == 201
    refused = await put(session, "v1", largest + b" ")

    assert (refused.status, refused.code) == (413, "SIZE_INVALID")
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).body == largest


async def test_a_manifest_whose_blob_is_missing_is_refused(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    await push(session, b"layer", "elsewhere")
    await push(session, b"layer", "team/iris", **OTHER_ORG)

    refused = await put(session, "v1", image(b"layer"))

    assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert digest_of(b"layer") in refused.json["errors"][0]["message"]
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).code == "MANIFEST_UNKNOWN"


async def test_a_layer_that_may_not_be_passed_on_need_not_be_here(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, EMPTY)
    foreign = described(b"base", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")

    assert (await put(session, "v1", image(layers=[foreign]))).status == 201


async def test_indexes_need_their_manifests_and_may_be_nested(
    session: aiohttp.ClientSession,
) -> None:
    await push(session, EMPTY)
    one = image()
    inner = index(one)
    outer = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described(inner, INDEX)]}
    ).encode()

    refused = await put(session, "v1", inner, media_type=INDEX)
    assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    await put(session, digest_of(one), one)
    assert (await put(session, digest_of(inner), inner, media_type=INDEX)).status == 201
    assert (await put(session, "v1", outer, media_type=INDEX)).status == 201
    seen = await call(session, "GET", f"{MANIFESTS}/v1")
    assert (seen.body, seen.headers["Content-Type"]) == (outer, INDEX)


async def test_an_index_may_list_blobs_as_caches_do(session: aiohttp.ClientSession) -> None:
    await push(session, b"cached")

    assert (await put(session, "cache", index(b"cached"), media_type=INDEX)).status == 201


@pytest.mark.parametrize("mentioned", [True, False])
async def test_dockers_media_types_are_kept(
    session: aiohttp.ClientSession, *, mentioned: bool
) -> None:
    await push(session, EMPTY)
    one = json.dumps(
        {
            "schemaVersion": 2,
            **({"mediaType": DOCKER} if mentioned else {}),
            "config": described(EMPTY, "application/vnd.docker.container.image.v1+json"),
            "layers": [],
        }
    ).encode()
    many = json.dumps(
        {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [described(one, DOCKER)]}
    ).encode()

    assert (await put(session, digest_of(one), one, media_type=DOCKER)).status == 201
    assert (await put(session, "v1", many, media_type=DOCKER_LIST)).status == 201
    for reference, kind in ((digest_of(one), DOCKER), ("v1", DOCKER_LIST)):
        seen = await call(session, "GET", f"{MANIFESTS}/{reference}")
        assert seen.headers["Content-Type"] == kind


async def test_one_digest_has_one_media_type(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    silent = json.dumps(
        {"schemaVersion": 2, "config": described(EMPTY, CONFIG), "layers": []}
    ).encode()
    await put(session, "v1", silent)

    refused = await put(session, "v1", silent, media_type=DOCKER)

    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


async def test_a_subject_is_named_and_need_not_be_here(session: aiohttp.ClientSession) -> None:
    await push(session, EMPTY)
    subject = described(image(), IMAGE)

    done = await put(session, "signature", image(subject=subject))

    assert (done.status, done.headers["OCI-Subject"]) == (201, subject["digest"])


async def test_a_tag_moves_and_what_it_left_stays(session: aiohttp.ClientSession) -> None:
    first = await push_image(session, "latest", b"one")
    second = await push_image(session, "latest", b"two")

    assert (await call(session, "GET", f"{MANIFESTS}/latest")).body == second
    assert (await call(session, "GET", f"{MANIFESTS}/{digest_of(first)}")).body == first


async def test_the_same_push_twice_is_one(session: aiohttp.ClientSession, pool: Pool) -> None:
    await push(session, EMPTY)
    manifest = image()
    done = await asyncio.gather(*(put(session, "v1", manifest) for _ in range(4)))

    assert [each.status for each in done] == [201] * 4
    paid = await pool.fetchval("SELECT committed_bytes FROM usage WHERE org_id = $1", ORG)
    assert paid == len(EMPTY) + len(manifest)


@pytest.mark.parametrize(
    ("name", "headers"), [("team/iris", OTHER_ORG), ("team/other", {}), ("nobody", {})]
)
async def test_a_manifest_is_its_repositorys(
    session: aiohttp.ClientSession, name: str, headers: dict[str, str]
) -> None:
    digest = digest_of(await push_image(session))
    for reference in ("v1", digest):
        for method in ("GET", "DELETE"):
            refused = await call(session, method, f"/v2/{name}/manifests/{reference}", **headers)
            assert (refused.status, refused.code) == (404, "MANIFEST_UNKNOWN")
    assert (await call(session, "GET", f"{MANIFESTS}/v1")).status == 200
