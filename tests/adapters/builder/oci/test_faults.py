"""Registries that fail, lie or never end: tried again where that helps, never believed."""

import time
from contextlib import aclosing
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web

from libs.chassis.errors import Kind
from libs.contracts.mediatypes import OCI_MANIFEST
from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci import BasicAccess, Patience, Remote
from tests.adapters.builder.oci.conftest import ABSENT, BLOB, QUICK, at, pieces, read
from tests.support.oci import digest_of, image
from tests.support.oci_faults import (
    BadRegistry,
    cut,
    endless,
    lost,
    silent,
    status,
)


@pytest.fixture
def remote(bad: BadRegistry, session: aiohttp.ClientSession) -> Remote:
    return at(session, bad.url, BasicAccess("ada", "s3cret"))


# -- downloads


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_broken_download_goes_on_where_it_broke(
    bad: BadRegistry, remote: Remote, *, ranges: bool
) -> None:
    digest, bad.ranges = bad.keep(BLOB), ranges
    at_first, at_second = 300_000, 300_017
    bad.faults = [cut(BLOB[:at_first], whole=len(BLOB)), lost]
    if ranges:
        bad.faults += [cut(BLOB[at_first:at_second], first=at_first)]

    assert await read(remote, digest) == BLOB

    wanted = [each.headers.get("Range") for each in bad.seen]
    first = [None, f"bytes={at_first}-", f"bytes={at_first}-"]
    assert wanted == (first + [f"bytes={at_second}-"] * ranges)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(BLOB[:-1] + b"x", "other bytes", id="wrong"),
        pytest.param(BLOB + b"x", "instead of", id="long"),
        pytest.param(BLOB[:-1], "instead of", id="short"),
        pytest.param(b"", "instead of", id="empty"),
    ],
)
async def test_other_bytes_are_refused(
    bad: BadRegistry, remote: Remote, content: bytes, words: str
) -> None:
    bad.blobs[digest_of(BLOB)] = content

    with pytest.raises(BuildFailedError, match=words) as refused:
        await read(remote, digest_of(BLOB))

    assert refused.value.code == "image-invalid"
    assert len(bad.seen) == 1


async def test_bytes_that_do_not_end_are_refused(bad: BadRegistry, remote: Remote) -> None:
    bad.always = endless

    with pytest.raises(BuildFailedError, match="more than") as refused:
        await read(remote, digest_of(BLOB))

    assert refused.value.code == "image-invalid"


async def test_a_range_that_was_not_asked_for_is_refused(bad: BadRegistry, remote: Remote) -> None:
    digest = bad.keep(BLOB)
    bad.faults = [cut(BLOB[:1000], whole=len(BLOB)), cut(BLOB[500:], first=500)]

    with pytest.raises(BuildFailedError, match="not asked for"):
        await read(remote, digest)


async def test_a_download_that_never_gets_on_is_given_up(bad: BadRegistry, remote: Remote) -> None:
    bad.always = lost

    with pytest.raises(RegistryUnreachableError) as failed:
        await read(remote, digest_of(BLOB))

    assert failed.value.kind is Kind.UNAVAILABLE
    assert len(bad.seen) <= 2 * QUICK.attempts  # aiohttp asks again on a new connection


async def test_a_download_may_be_left(bad: BadRegistry, remote: Remote) -> None:
    digest = bad.keep(BLOB)

    async with aclosing(remote.blob("team/iris", digest, size=len(BLOB))) as chunks:
        first = await anext(chunks)

    assert BLOB.startswith(first)
    assert await read(remote, digest) == BLOB


# -- passing troubles


async def test_a_registry_may_fail_twice(bad: BadRegistry, remote: Remote) -> None:
    digest = bad.keep(BLOB)
    bad.faults = [status(500), lost]
    assert await remote.has_blob("team/iris", digest)
    bad.faults = [status(502), status(503)]
    assert await read(remote, digest) == BLOB
    bad.faults = [status(500), status(500)]
    assert not await remote.mount("team/iris", ABSENT, source="team/other")


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_registry_says_how_long_to_wait(
    bad: BadRegistry, remote: Remote, form: str
) -> None:
    digest = bad.keep(BLOB)
    said = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)  # noqa: TID251 - HTTP's
    bad.faults = [status(429, Retry_After=said)]
    begun = time.monotonic()

    assert await remote.has_blob("team/iris", digest)

    assert 0.9 < time.monotonic() - begun < 5


async def test_one_that_wants_too_long_is_left_to_the_queue(
    bad: BadRegistry, remote: Remote
) -> None:
    bad.always = status(429, "slow down", Retry_After="3600")

    with pytest.raises(RegistryUnreachableError, match="slow down") as failed:
        await remote.manifest("team/iris", "v1")

    assert failed.value.retry_after is not None
    assert failed.value.retry_after.total_seconds() == 3600
    assert len(bad.seen) == 1


async def test_silence_ends(bad: BadRegistry, session: aiohttp.ClientSession) -> None:
    hasty = Patience(attempts=2, pause=0.01, silence=0.1, finishing=0.1)
    remote = Remote(session, bad.url, access=BasicAccess("a", "b"), patience=hasty)
    bad.always = silent

    for trial in (remote.find("team/iris", "v1"), remote.push("team/iris", pieces)):
        with pytest.raises(RegistryUnreachableError, match="in time"):
            await trial


async def test_nobody_at_an_address_is_a_passing_trouble(session: aiohttp.ClientSession) -> None:
    remote = at(session, "http://127.0.0.1:1", BasicAccess("a", "b"))

    with pytest.raises(RegistryUnreachableError, match="no connection"):
        await remote.find("team/iris", "v1")


# -- manifests


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(endless, "registry-refused", id="endless"),
        pytest.param(status(200, "[" * 100_000), "image-invalid", id="deep"),
        pytest.param(status(200, "no"), "image-invalid", id="text"),
        pytest.param(status(200, '{"schemaVersion": 1}'), "image-invalid", id="old"),
        pytest.param(
            status(200, '{"schemaVersion": 2, "manifests": [], "layers": []}'),
            "image-invalid",
            id="both",
        ),
        pytest.param(
            status(200, image().decode(), Docker_Content_Digest=ABSENT), "image-invalid", id="other"
        ),
    ],
)
async def test_what_is_no_manifest_is_refused(
    bad: BadRegistry, remote: Remote, answer: object, code: str
) -> None:
    bad.always = answer  # type: ignore[assignment]  # as a fault

    with pytest.raises(BuildFailedError) as refused:
        await remote.manifest("team/iris", "v1")

    assert refused.value.code == code


async def test_a_registry_that_says_little_of_a_manifest_is_asked_for_it(
    bad: BadRegistry, remote: Remote
) -> None:
    bad.always = status(200, image().decode())

    found = await remote.find("team/iris", "v1")

    assert found is not None
    assert (found.digest, found.media_type) == (digest_of(image()), OCI_MANIFEST)
    assert bad.asked == ["HEAD", "GET"]


async def test_lists_of_referrers_end(bad: BadRegistry, remote: Remote) -> None:
    async def more(request: web.Request) -> web.Response:
        page = '{"schemaVersion": 2, "manifests": []}'
        link = f'<{request.path}?n={len(bad.seen)}>; rel="next"'
        kind = "application/vnd.oci.image.index.v1+json"
        return web.Response(text=page, headers={"Link": link, "Content-Type": kind})

    bad.always = more

    with pytest.raises(BuildFailedError, match="without end"):
        await remote.referrers("team/iris", ABSENT)
