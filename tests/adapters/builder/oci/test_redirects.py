"""Registries that lead elsewhere: followed, but who asks is told to the registry alone."""

import ssl
from pathlib import Path

import aiohttp
import pytest

from services.builder.errors import BuildFailedError
from services.builder.oci import BasicAccess, Remote
from tests.adapters.builder.oci.conftest import BLOB, SENT, SIZE, at, pieces, read, shown
from tests.support.authorities import Authority
from tests.support.oci import digest_of
from tests.support.oci_faults import (
    BadRegistry,
    bad_registry,
    cut,
    status,
)


@pytest.fixture
def remote(bad: BadRegistry, session: aiohttp.ClientSession) -> Remote:
    return at(session, bad.url, BasicAccess("ada", "s3cret"))


async def test_blobs_elsewhere_are_fetched_without_saying_who_asks(
    bad: BadRegistry, store: BadRegistry, remote: Remote
) -> None:
    digest = store.keep(BLOB)
    where = f"{store.url}/bucket/{digest}?signature=s%2Fgned"
    bad.faults = [status(307, Location=where)] * 2
    store.faults = [cut(BLOB[:1000], whole=len(BLOB))]

    assert await read(remote, digest) == BLOB

    assert all(each.headers["Authorization"] == SENT for each in bad.seen)
    assert [each.headers.get("Authorization") for each in store.seen] == [None, None]
    assert store.seen[0].rel_url.raw_query_string == "signature=s%2Fgned"


async def test_one_that_leads_elsewhere_and_asks_there_is_told_nothing(
    bad: BadRegistry, store: BadRegistry, remote: Remote
) -> None:
    bad.always = status(307, Location=f"{store.url}/bucket?signature=secret-of-it")
    store.always = status(401, "who are you?", WWW_Authenticate='Basic realm="give it to me"')

    with pytest.raises(BuildFailedError) as denied:
        await read(remote, digest_of(BLOB))

    assert denied.value.code == "registry-denied"
    assert {each.headers.get("Authorization") for each in store.seen} == {None}
    assert "secret-of-it" not in shown(denied.value)
    assert "who are you?" not in shown(denied.value)


async def testuploads_elsewhere_are_sent_without_saying_who_asks(
    bad: BadRegistry, store: BadRegistry, remote: Remote
) -> None:
    where = f"{store.url}/v2/x/blobs/uploads/"
    bad.faults = [status(202, Location=f"{where}upload-0?_state=a%2Fb%3D%3D")]
    store.uploads["upload-0"] = b""

    assert (await remote.push("team/iris", pieces)).size == SIZE

    assert store.asked == ["PATCH", "PUT"]
    assert {each.headers.get("Authorization") for each in store.seen} == {None}


async def test_tls_is_not_left(
    store: BadRegistry, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    signed = authority.sign("server")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(signed.certificate, signed.key)
    trusted = ssl.create_default_context(cafile=authority.file)
    async with bad_registry(served) as bad:
        remote = at(session, bad.url, BasicAccess("a", "b"), ssl=trusted)
        bad.always = status(307, Location=f"{store.url}/x")
        with pytest.raises(BuildFailedError, match="from TLS to http"):
            await read(remote, digest_of(BLOB))
        bad.always = status(202, Location=f"{store.url}/x")
        with pytest.raises(BuildFailedError, match="from TLS to http"):
            await remote.push("team/iris", pieces)

    assert store.seen == []


@pytest.mark.parametrize(
    "where", ["ftp://example.com/x", "http://", "http://[::", "file:///etc/passwd", ""]
)
async def test_nonsense_is_not_gone_to(bad: BadRegistry, remote: Remote, where: str) -> None:
    bad.always = status(307, Location=where) if where else status(307)

    with pytest.raises(BuildFailedError) as refused:
        await read(remote, digest_of(BLOB))

    assert refused.value.code == "registry-refused"


async def test_circles_end(bad: BadRegistry, remote: Remote) -> None:
    bad.always = status(302, Location="/v2/round")

    with pytest.raises(BuildFailedError, match="circles"):
        await remote.find("team/iris", "v1")


async def test_what_a_registry_repeats_is_not_shown(bad: BadRegistry, remote: Remote) -> None:
    bad.always = status(403, f"you sent {SENT}\x1b[31m")

    with pytest.raises(BuildFailedError, match="you sent Basic …") as denied:
        await remote.manifest("team/iris", "v1")

    assert SENT.partition(" ")[2] not in shown(denied.value)
    assert denied.value.reason.isprintable()
