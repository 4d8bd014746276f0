"""An image from one registry to another, blob by blob, each verified on its way."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from libs.contracts.mediatypes import INDEXES
from services.builder.errors import BuildFailedError
from services.builder.oci.client import Remote
from services.builder.oci.descriptor import Descriptor, Platform
from services.builder.oci.manifests import descriptor_of, document_of, listed

Found = tuple[Platform, Descriptor, bytes]
"""The manifest of one platform."""


async def images_of(
    remote: Remote, repository: str, reference: str, *, platforms: Sequence[Platform]
) -> list[Found]:
    """The images of those platforms. Raises ``BuildFailedError`` when one is missing."""
    described, body = await remote.manifest(repository, reference)
    if described.media_type not in INDEXES:
        only = await _platform_of(remote, repository, body)
        listing = {only: (described, body)}
    else:
        listing = {each.platform: (each, b"") for each in listed(body) if each.platform is not None}
    return [await _one(remote, repository, listing, wanted=each) for each in platforms]


async def copy(
    source_remote: Remote, target_remote: Remote, manifest: bytes, *, source: str, target: str
) -> None:
    """What ``manifest`` names, except itself."""
    document = document_of(manifest)
    for said in (*document.get("layers", ()), document.get("config")):
        blob = descriptor_of(said)
        if not await target_remote.has_blob(target, blob.digest):
            stream = partial(_stream, source_remote, source, blob)
            await target_remote.push(target, stream)


async def _one(
    remote: Remote,
    repository: str,
    listing: dict[Platform, tuple[Descriptor, bytes]],
    *,
    wanted: Platform,
) -> Found:
    for platform, (described, body) in listing.items():
        if wanted.runs(platform):
            content = body or (await remote.manifest(repository, described.digest))[1]
            return wanted, described, content
    has = ", ".join(sorted(map(str, listing))) or "none"
    raise BuildFailedError("base-image-absent", f"{repository} is for {has}, not for {wanted}")


async def _platform_of(remote: Remote, repository: str, manifest: bytes) -> Platform:
    config = descriptor_of(document_of(manifest).get("config"))
    pieces = [each async for each in remote.blob(repository, config.digest, size=config.size)]
    return Platform.from_json(document_of(b"".join(pieces)))


def _stream(remote: Remote, repository: str, blob: Descriptor) -> AsyncIterator[bytes]:
    return remote.blob(repository, blob.digest, size=blob.size)
