"""OCI 1.1 manifests of what is attached to an image, as the bytes that are pushed.

Everything refers to its image by ``subject``. What cosign looks for by a tag has that form, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from libs.contracts.mediatypes import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST
from libs.contracts.types import digest_of
from services.builder.supply.documents import canonical

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURES: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
IN_TOTO: Final = "application/vnd.in-toto+json"
DSSE: Final = "application/vnd.dsse.envelope.v1+json"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
CYCLONEDX: Final = "application/vnd.cyclonedx+json"
LOCK: Final = "application/vnd.yokocho.lock.v1+text"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
PREDICATE: Final = "in-toto.io/predicate-type"
TITLE: Final = "org.opencontainers.image.title"
_GO_EPOCH: Final = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Blob:
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    def descriptor(self, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
        plain = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        return {**plain, "annotations": dict(annotations)} if annotations else plain


@dataclass(frozen=True, slots=True)
class Target:
    """The manifest, or index, that something is attached to."""

    media_type: str
    digest: str
    size: int

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Artifact:
    """Blobs to push, then the manifest: by its digest, and under its tag where it has one."""

    manifest: bytes
    blobs: tuple[Blob, ...]
    artifact_type: str
    tag: str | None = None
    media_type: str = OCI_MANIFEST

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Layer:
    blob: Blob
    annotations: Mapping[str, str]


def bill(target: Target, document: bytes) -> Artifact:
    return _attached(
        target, CYCLONEDX, [Layer(Blob(CYCLONEDX, document), {TITLE: "sbom.cdx.json"})]
    )


def lock(target: Target, text: bytes) -> Artifact:
    """What a rebuild installs from; the provenance names it by digest."""
    return _attached(target, LOCK, [Layer(Blob(LOCK, text), {TITLE: "requirements.lock.txt"})])


def statement(
    target: Target, document: bytes, *, predicate: str, signed: bool, title: str = "provenance.json"
) -> Artifact:
    """An in-toto statement, bare or, when ``signed``, inside its DSSE envelope."""
    blob = Blob(DSSE if signed else IN_TOTO, document)
    said = {PREDICATE: predicate}
    return _attached(target, IN_TOTO, [Layer(blob, {**said, TITLE: title})], annotations=said)


def bundle(target: Target, document: bytes, *, predicate: str) -> Artifact:
    """A statement in Sigstore's bundle: a signature or an attestation, as cosign 3 looks for it."""
    said = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": predicate,
    }
    title = f"{digest_of(document).replace(':', '-')}.sigstore.json"
    return _attached(
        target, BUNDLE, [Layer(Blob(BUNDLE, document), {TITLE: title})], annotations=said
    )


def signatures(target: Target, signed: Iterable[tuple[bytes, str]]) -> Artifact:
    """Pairs of payload and signature. The configuration has the type, too: cosign's own has."""
    layers = _signature_layers(signed)
    return _attached(target, SIGNATURES, layers, config=Blob(SIGNATURES, b"{}"))


def tagged_signatures(image_digest: str, signed: Iterable[tuple[bytes, str]]) -> Artifact:
    """What every cosign finds: an image without a subject under a tag made of the digest.

    One manifest has all signatures: who adds one says the earlier ones again.
    """
    return _tagged(SIGNATURES, _signature_layers(signed), tag_of(image_digest, "sig"))


def tagged_attestations(image_digest: str, envelopes: Sequence[tuple[bytes, str]]) -> Artifact:
    """DSSE envelopes with their predicate types, for ``cosign verify-attestation``."""
    layers = [
        Layer(Blob(DSSE, data), {SIGNATURE: "", "predicateType": predicate})
        for data, predicate in sorted(set(envelopes))
    ]
    return _tagged(DSSE, layers, tag_of(image_digest, "att"))


def tag_of(image_digest: str, suffix: str) -> str:
    """Such as ``sha256-<hex>.sig``."""
    return f"{image_digest.replace(':', '-')}.{suffix}"


def _signature_layers(signed: Iterable[tuple[bytes, str]]) -> list[Layer]:
    return [
        Layer(Blob(SIMPLE_SIGNING, payload), {SIGNATURE: signature})
        for payload, signature in sorted(set(signed))
    ]


def _attached(
    target: Target,
    artifact_type: str,
    layers: Sequence[Layer],
    *,
    annotations: Mapping[str, str] | None = None,
    config: Blob = Blob(OCI_EMPTY, b"{}"),
) -> Artifact:
    document = {
        **_manifest(config, layers),
        "artifactType": artifact_type,
        "subject": target.descriptor(),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Artifact(canonical(document), _blobs(config, layers), artifact_type)


def _tagged(artifact_type: str, layers: Sequence[Layer], tag: str) -> Artifact:
    config = Blob(OCI_CONFIG, canonical(_image_config([each.blob.digest for each in layers])))
    manifest = canonical(_manifest(config, layers))
    return Artifact(manifest, _blobs(config, layers), artifact_type, tag)


def _manifest(config: Blob, layers: Sequence[Layer]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [each.blob.descriptor(each.annotations) for each in layers],
    }


def _blobs(config: Blob, layers: Sequence[Layer]) -> tuple[Blob, ...]:
    """Each content once: equal payloads are signed by several keys."""
    return tuple({each.digest: each for each in [config, *(each.blob for each in layers)]}.values())


def _image_config(digests: Sequence[str]) -> dict[str, Any]:
    """Registries that look into configurations find an image that can be."""
    return {
        "architecture": "",
        "config": {},
        "created": _GO_EPOCH,
        "history": [{"created": _GO_EPOCH} for _ in digests],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": list(digests)},
    }
