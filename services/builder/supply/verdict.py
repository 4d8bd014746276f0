"""Whether an image may be trusted, from what is attached to it: by whose key, or why not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from libs.contracts.types import Digest, digest_of
from services.builder.errors import SupplyError
from services.builder.supply.documents import parsed
from services.builder.supply.manifests import BUNDLE, DSSE, SIGNATURE, SIMPLE_SIGNING
from services.builder.supply.pem import VerifyingKey
from services.builder.supply.signing import ENVELOPE, Signed, checked, unbundled, unsealed
from services.builder.supply.statements import SIGNED, AnyStatement, digests

MANIFEST_BYTES: Final = 4 * 1024 * 1024
_MANIFESTS: Final = 64
_LAYERS: Final = 256
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that refers to the image, or lies under a tag for it; and blobs by digest."""

    manifest: bytes
    blobs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Verdict:
    trusted: bool
    by: tuple[str, ...] = ()
    """Fingerprints of the keys that signed the image, sorted."""
    reasons: tuple[str, ...] = ()
    """Why each thing that might have been a signature was none."""

    @property
    def detail(self) -> str:
        if self.trusted:
            return f"signed by {', '.join(self.by)}"
        return "; ".join(self.reasons)


class _Layer(BaseModel):
    media_type: Annotated[str, Field(alias="mediaType", max_length=256)]
    digest: Digest
    size: Annotated[int, Field(ge=0)]
    annotations: dict[str, str] = Field(default_factory=dict)


class _Subject(BaseModel):
    digest: Digest


class _Manifest(BaseModel):
    layers: Annotated[list[_Layer], Field(max_length=_LAYERS)]
    subject: _Subject | None = None


def verify_image(
    image_digest: str, found: Sequence[Found], keys: Sequence[VerifyingKey]
) -> Verdict:
    """Trusted as soon as one signature is right: others may be of keys that are not known here.

    What else the same key signed about the image, its provenance for one, is no signature of it.
    """

    def simple(layer: _Layer, blob: bytes) -> str:
        signed = Signed(blob, layer.annotations.get(SIGNATURE, ""))
        return checked(signed, image_digest, keys).fingerprint

    def bundle(_: _Layer, blob: bytes) -> str | None:
        statement, key = unbundled(blob, keys)
        about = _is_about(statement, image_digest)
        return key.fingerprint if about == SIGNED else None

    by, reasons = _judged(found, image_digest, {SIMPLE_SIGNING: simple, BUNDLE: bundle})
    if not by and not reasons:
        reasons = ["the image has no signature"]
    return Verdict(trusted=bool(by), by=tuple(sorted(set(by))), reasons=tuple(reasons))


def verify_statement(
    image_digest: str, found: Sequence[Found], keys: Sequence[VerifyingKey], *, predicate: str
) -> tuple[bytes, VerifyingKey]:
    """The first statement of that type about the image that one of the keys signed, or why none."""

    def opened(
        reader: Callable[[bytes, Sequence[VerifyingKey]], tuple[bytes, VerifyingKey]], blob: bytes
    ) -> tuple[bytes, VerifyingKey] | None:
        statement, key = reader(blob, keys)
        about = _is_about(statement, image_digest)
        return (statement, key) if about == predicate else None

    right, reasons = _judged(
        found,
        image_digest,
        {
            DSSE: lambda _, blob: opened(unsealed, blob),
            BUNDLE: lambda _, blob: opened(unbundled, blob),
        },
    )
    if not right:
        raise SupplyError("; ".join(reasons) or f"the image has no signed statement {predicate}")
    return right[0]


def _judged(
    found: Sequence[Found],
    image_digest: str,
    judges: Mapping[str, Callable[[_Layer, bytes], _T | None]],
) -> tuple[list[_T], list[str]]:
    """What was right, and why the rest was not: nothing that is wrong hides what is right."""
    right: list[_T] = []
    reasons: list[str] = []
    for each in found[:_MANIFESTS]:
        try:
            layers = _layers(each, image_digest)
        except SupplyError as error:
            reasons.append(str(error))
            continue
        for layer in layers:
            judge = judges.get(layer.media_type)
            try:
                judged = judge and judge(layer, _whole(layer, each.blobs.get(layer.digest)))
            except SupplyError as error:
                reasons.append(str(error))
            else:
                right += [judged] if judged is not None else []
    if len(found) > _MANIFESTS:
        reasons.append(f"only {_MANIFESTS} of {len(found)} manifests were looked at")
    return right, reasons


def _is_about(statement: bytes, image_digest: str) -> str:
    """What kind of statement it is, if the image is among what it speaks of."""
    document = parsed(statement, what="the statement", limit=ENVELOPE)
    try:
        found = AnyStatement.model_validate(document)
    except ValidationError as error:
        raise SupplyError("what is signed is no in-toto statement") from error
    if all(digests(image_digest).items() - each.digest.items() for each in found.subject):
        raise SupplyError("the statement is about something else than the image")
    return found.predicate_type


def _layers(found: Found, image_digest: str) -> list[_Layer]:
    document = parsed(found.manifest, what="a manifest", limit=MANIFEST_BYTES)
    try:
        manifest = _Manifest.model_validate(document)
    except ValidationError as error:
        raise SupplyError("a manifest is not one of OCI's for an artifact") from error
    if manifest.subject is not None and manifest.subject.digest != image_digest:
        raise SupplyError(f"a manifest refers to another image: {manifest.subject.digest}")
    return manifest.layers


def _whole(layer: _Layer, blob: bytes | None) -> bytes:
    if blob is None:
        raise SupplyError(f"the blob {layer.digest} is not there")
    if len(blob) != layer.size or digest_of(blob) != layer.digest:
        raise SupplyError(f"the blob {layer.digest} has other bytes than its digest says")
    return blob
