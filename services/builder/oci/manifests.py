"""Manifests as documents of others: read with care, named by their bytes."""

import json
from collections.abc import Mapping
from typing import Any, Final

from libs.contracts.mediatypes import INDEXES, MANIFESTS, OCI_INDEX, OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder.errors import BuildFailedError
from services.builder.oci.descriptor import Descriptor, DescriptorInvalidError, annotations_of
from services.builder.oci.reference import is_digest

LIMIT: Final = 4 * 2**20
"""Bytes of a manifest: what the specification says that everybody may count on."""
ACCEPT: Final = ", ".join(sorted(MANIFESTS | INDEXES))
_SCHEMA: Final = 2
_MOST_LISTED: Final = 10_000


def document_of(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise BuildFailedError("image-invalid", "a manifest that is no JSON") from None
    if not isinstance(document, dict):
        raise BuildFailedError("image-invalid", "a manifest that is no object")
    return document


def media_type_of(content_type: str, content: bytes) -> str:
    """What the document says, the registry, and its fields: all that speak have to agree."""
    document = document_of(content)
    told = content_type.partition(";")[0].strip().lower()
    own = document.get("mediaType")
    if own is not None and told in MANIFESTS | INDEXES and own != told:
        raise BuildFailedError(
            "image-invalid", f"a manifest says {own!r:.100}, its registry {told}"
        )
    index = "manifests" in document
    if index and ("layers" in document or "config" in document):
        raise BuildFailedError("image-invalid", "a manifest that is an index as well")
    found = own or (told if told in MANIFESTS | INDEXES else OCI_INDEX if index else OCI_MANIFEST)
    if document.get("schemaVersion") != _SCHEMA or found not in (INDEXES if index else MANIFESTS):
        raise BuildFailedError("image-invalid", f"a manifest of type {found!r:.100} is not known")
    return str(found)


def described(headers: Mapping[str, str], reference: str) -> Descriptor | None:
    """By its registry alone; ``None`` where that says too little."""
    told = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    digest = headers.get("Docker-Content-Digest", "")
    size = headers.get("Content-Length", "")
    if told not in MANIFESTS | INDEXES or not is_digest(digest) or not size.isascii():
        return None
    if is_digest(reference) and digest != reference:
        raise BuildFailedError("image-invalid", f"the registry has {digest} as {reference}")
    if not size.isdigit() or int(size[:19]) > LIMIT:
        return None
    return Descriptor(told, digest, int(size))


def subject_of(content: bytes) -> str | None:
    subject = document_of(content).get("subject")
    return None if subject is None else descriptor_of(subject).digest


def listed(content: bytes) -> list[Descriptor]:
    """What an index lists, with what it says of each."""
    manifests = document_of(content).get("manifests")
    if not isinstance(manifests, list) or len(manifests) > _MOST_LISTED:
        raise BuildFailedError("image-invalid", "an index that lists nothing, or too much")
    return [descriptor_of(each) for each in manifests]


def as_referrer(content: bytes, media_type: str) -> Descriptor:
    """How a manifest is listed among those that refer to its subject."""
    document = document_of(content)
    config = document.get("config")
    kind = document.get("artifactType") or (config or {}).get("mediaType")
    try:
        return Descriptor(
            media_type,
            digest_of(content),
            len(content),
            annotations=annotations_of(document.get("annotations")),
            artifact_type=kind,
        )
    except DescriptorInvalidError as error:
        raise BuildFailedError("image-invalid", f"a manifest: {error}") from None


def descriptor_of(said: object) -> Descriptor:
    try:
        return Descriptor.from_json(said)
    except DescriptorInvalidError as error:
        raise BuildFailedError("image-invalid", f"a manifest: {error}") from None
