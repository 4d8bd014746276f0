"""The client of registries against real ones: ours, and all that others made and are at hand."""

import hashlib
import json
import random
from collections.abc import AsyncIterator

import pytest

from libs.contracts.mediatypes import OCI_INDEX, OCI_MANIFEST
from services.builder.errors import BuildFailedError
from services.builder.oci import ReferenceInvalidError, Remote
from tests.adapters.builder.oci.conftest import ABSENT
from tests.support.oci import EMPTY, digest_of, image, index

LAYER = random.Random(11).randbytes(3 * 2**20 + 17)  # noqa: S311 - no secret


async def pieces(content: bytes = LAYER, size: int = 2**18 + 1) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]
        yield b""


async def read(remote: Remote, name: str, digest: str, size: int) -> bytes:
    return b"".join([chunk async for chunk in remote.blob(name, digest, size=size)])


async def push_image(remote: Remote, name: str, tag: str, layer: bytes = LAYER) -> bytes:
    await remote.push(name, lambda: pieces(layer))
    await remote.push_bytes(name, EMPTY)
    manifest = image(layer)
    assert await remote.put_manifest(name, tag, manifest, OCI_MANIFEST) == digest_of(manifest)
    return manifest


async def test_a_streamed_blob_is_named_after_it_was_sent(remote: Remote, name: str) -> None:
    pushed = await remote.push(name, pieces)

    assert (pushed.digest, pushed.size) == (digest_of(LAYER), len(LAYER))
    assert await remote.has_blob(name, pushed.digest)
    assert await read(remote, name, pushed.digest, pushed.size) == LAYER


async def test_nothing_can_be_a_blob(remote: Remote, name: str) -> None:
    pushed = await remote.push(name, lambda: pieces(b""))

    assert (pushed.digest, pushed.size) == (digest_of(b""), 0)
    assert await read(remote, name, pushed.digest, 0) == b""


async def test_small_bytes_are_sent_once(remote: Remote, name: str) -> None:
    first = await remote.push_bytes(name, b"{}")
    again = await remote.push_bytes(name, b"{}")

    assert first == again
    assert await read(remote, name, first.digest, 2) == b"{}"


async def test_a_manifest_is_found_by_tag_and_digest(remote: Remote, name: str) -> None:
    manifest = await push_image(remote, name, "v1")
    digest = digest_of(manifest)

    for reference in ("v1", digest):
        found = await remote.find(name, reference)
        described, content = await remote.manifest(name, reference)
        assert content == manifest
        assert found == described
        assert (described.digest, described.size) == (digest, len(manifest))
        assert described.media_type == OCI_MANIFEST


async def test_an_index_is_kept_as_it_is(remote: Remote, name: str) -> None:
    both = index(await push_image(remote, name, "a"), await push_image(remote, name, "b", b"b"))

    await remote.put_manifest(name, "all", both, OCI_INDEX)

    described, content = await remote.manifest(name, "all")
    assert (described.media_type, content) == (OCI_INDEX, both)


async def test_what_is_not_there_is_none(remote: Remote, name: str) -> None:
    assert await remote.find(name, "v1") is None
    assert not await remote.has_blob(name, ABSENT)
    with pytest.raises(BuildFailedError) as absent:
        await remote.manifest(name, "v1")
    assert absent.value.code == "base-image-absent"
    with pytest.raises(BuildFailedError) as absent:
        await read(remote, name, ABSENT, 3)
    assert absent.value.code == "base-image-absent"


async def test_a_blob_is_mounted_from_where_it_is(remote: Remote, name: str) -> None:
    pushed = await remote.push(name, pieces)

    assert await remote.mount(f"{name}-2", pushed.digest, source=name)

    assert await read(remote, f"{name}-2", pushed.digest, pushed.size) == LAYER


async def test_what_is_nowhere_is_not_mounted(remote: Remote, name: str) -> None:
    await remote.push_bytes(name, b"x")

    assert not await remote.mount(f"{name}-2", ABSENT, source=name)


async def test_referrers_are_found_whether_a_registry_lists_them_or_not(
    remote: Remote, name: str
) -> None:
    subject = await push_image(remote, name, "v1")
    said = {
        "mediaType": OCI_MANIFEST,
        "digest": digest_of(subject),
        "size": len(subject),
    }
    for kind in ("application/vnd.cyclonedx+json", "application/vnd.in-toto+json"):
        body = image(subject=said, artifactType=kind, annotations={"a": kind})
        await remote.put_manifest(name, digest_of(body), body, OCI_MANIFEST)
        await remote.put_manifest(name, digest_of(body), body, OCI_MANIFEST)

    found = await remote.referrers(name, digest_of(subject))

    assert sorted(str(each.artifact_type) for each in found) == [
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
    ]
    assert {each.annotations["a"] for each in found} == {each.artifact_type for each in found}
    assert await remote.referrers(name, ABSENT) == []


async def test_what_cannot_be_a_name_is_never_sent(remote: Remote) -> None:
    for repository in ("../team", "Team", "a b", "a?x=1", "", "a//b"):
        with pytest.raises(ReferenceInvalidError):
            await remote.find(repository, "v1")
    for reference in ("../../x", "v1?a=b", "sha256:zz", "a/b", ""):
        with pytest.raises(ReferenceInvalidError):
            await remote.manifest("team/iris", reference)


async def test_a_manifest_without_its_layers_is_refused(remote: Remote, name: str) -> None:
    await remote.push_bytes(name, EMPTY)

    with pytest.raises(BuildFailedError) as refused:
        await remote.put_manifest(name, "v1", image(b"never sent"), OCI_MANIFEST)

    assert refused.value.code == "registry-refused"
    assert "UNKNOWN" in refused.value.reason


async def test_who_makes_a_layer_may_fail(remote: Remote, name: str) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield LAYER
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await remote.push(name, failing)

    assert not await remote.has_blob(name, digest_of(LAYER))


async def test_a_digest_that_is_not_the_manifests_is_not_sent(remote: Remote, name: str) -> None:
    with pytest.raises(BuildFailedError) as refused:
        await remote.put_manifest(name, ABSENT, json.dumps({}).encode(), OCI_MANIFEST)

    assert refused.value.code == "image-invalid"
    assert hashlib.sha256(b"{}").hexdigest() in refused.value.reason
