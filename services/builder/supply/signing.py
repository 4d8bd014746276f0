"""Signatures of images as cosign makes and checks them, and envelopes of statements (DSSE)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from libs.contracts.types import Digest
from services.builder.errors import SupplyError
from services.builder.supply.documents import canonical, parsed
from services.builder.supply.manifests import BUNDLE, IN_TOTO
from services.builder.supply.pem import SigningKey, VerifyingKey
from services.builder.supply.values import Subject

PAYLOAD: Final = 64 * 1024
ENVELOPE: Final = 24 * 1024 * 1024
_TYPE: Final = "cosign container image signature"
_SIGNATURES: Final = 64
_Base64 = Annotated[str, StringConstraints(max_length=1024)]


class _Identity(BaseModel):
    reference: Annotated[str, Field(alias="docker-reference", max_length=1024)]


class _Image(BaseModel):
    digest: Annotated[Digest, Field(alias="docker-manifest-digest")]


class _Critical(BaseModel):
    identity: _Identity
    image: _Image
    type: Literal["cosign container image signature"]


class _Payload(BaseModel):
    critical: _Critical


class _EnvelopeSignature(BaseModel):
    sig: _Base64


class _Envelope(BaseModel):
    payload: str
    payload_type: Annotated[str, Field(alias="payloadType", max_length=256)]
    signatures: Annotated[list[_EnvelopeSignature], Field(min_length=1, max_length=_SIGNATURES)]


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload and its signature in base64: what an annotation has."""

    payload: bytes
    signature: str


def payload_of(image: Subject, optional: Mapping[str, str] | None = None) -> bytes:
    """Simple signing: what is signed of an image."""
    critical = {
        "identity": {"docker-reference": image.name},
        "image": {"docker-manifest-digest": image.digest},
        "type": _TYPE,
    }
    return canonical({"critical": critical, "optional": dict(optional) if optional else None})


def signed(image: Subject, key: SigningKey, optional: Mapping[str, str] | None = None) -> Signed:
    payload = payload_of(image, optional)
    return Signed(payload, base64.b64encode(key.sign(payload)).decode())


def checked(given: Signed, image_digest: str, keys: Sequence[VerifyingKey]) -> VerifyingKey:
    """The key that signed this image; otherwise why this is no signature of it.

    What a payload says is looked at only after its signature: before that, anybody may have
    written it.
    """
    key = _signer(_signature(given.signature), given.payload, keys)
    try:
        said = _Payload.model_validate(parsed(given.payload, what="the payload", limit=PAYLOAD))
    except ValidationError as error:
        raise SupplyError("what is signed is not about an image, as cosign says it") from error
    if said.critical.image.digest != image_digest:
        raise SupplyError(f"what is signed is another image: {said.critical.image.digest}")
    return key


def sealed(statement: bytes, key: SigningKey) -> bytes:
    """The statement in its envelope. Without a ``keyid``, which would decide nothing."""
    return canonical(_envelope(statement, key))


def unsealed(envelope: bytes, keys: Sequence[VerifyingKey]) -> tuple[bytes, VerifyingKey]:
    """The statement, and whose it is; otherwise why nobody's."""
    return _opened(parsed(envelope, what="the envelope", limit=ENVELOPE), keys)


def bundled(statement: bytes, key: SigningKey) -> bytes:
    """The envelope as Sigstore's bundle, which cosign reads first since its version 3."""
    hint = base64.b64encode(bytes.fromhex(key.public.fingerprint)).decode()
    return canonical(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": _envelope(statement, key),
        }
    )


def unbundled(bundle: bytes, keys: Sequence[VerifyingKey]) -> tuple[bytes, VerifyingKey]:
    """The statement, and whose it is. Certificates and logs of a bundle are not looked at."""
    found = parsed(bundle, what="the bundle", limit=ENVELOPE)
    envelope = found.get("dsseEnvelope")
    if not isinstance(envelope, dict):
        raise SupplyError("the bundle has no statement in it")
    return _opened(envelope, keys)


def _envelope(statement: bytes, key: SigningKey) -> dict[str, Any]:
    signature = base64.b64encode(key.sign(_encoded(IN_TOTO, statement))).decode()
    return {
        "payload": base64.b64encode(statement).decode(),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": signature}],
    }


def _opened(
    envelope: Mapping[str, Any], keys: Sequence[VerifyingKey]
) -> tuple[bytes, VerifyingKey]:
    try:
        found = _Envelope.model_validate(envelope)
        statement = _decoded(found.payload)
    except ValueError as error:
        raise SupplyError("the envelope is not what DSSE says") from error
    if found.payload_type != IN_TOTO:
        raise SupplyError(f"the envelope has {found.payload_type[:100]!r}, no in-toto statement")
    message = _encoded(found.payload_type, statement)
    refused: list[SupplyError] = []
    for each in found.signatures:
        try:
            return statement, _signer(_signature(each.sig), message, keys)
        except SupplyError as error:
            refused.append(error)
    raise refused[0]


def _signer(signature: bytes, message: bytes, keys: Sequence[VerifyingKey]) -> VerifyingKey:
    if not keys:
        raise SupplyError("no public key is configured to check signatures with")
    if len(message) > ENVELOPE:
        raise SupplyError(f"what is signed has {len(message)} bytes, and {ENVELOPE} are the most")
    for key in keys:
        if key.accepts(signature, message):
            return key
    known = ", ".join(each.fingerprint[:16] for each in keys)
    raise SupplyError(f"none of the public keys ({known}) made the signature")


def _signature(text: str) -> bytes:
    if len(text) > 1024:  # noqa: PLR2004 - RSA's with 4096 bits has 684, and is not taken
        raise SupplyError("the signature is too long to be one")
    try:
        return _decoded(text)
    except ValueError as error:
        raise SupplyError("the signature is not base64") from error


def _decoded(text: str) -> bytes:
    """Base64 of either alphabet: writers of envelopes may choose."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def _encoded(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs (PAE): type and payload, neither of which can be taken for the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
