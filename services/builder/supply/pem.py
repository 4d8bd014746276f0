"""Keys that sign and keys that check, from PEM. Nothing here says anything of a private key."""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from typing_extensions import override

from services.builder.errors import SupplyError
from services.builder.supply import sigstore

LIMIT: Final = 64 * 1024
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"
_END: Final = b"-----END PUBLIC KEY-----"
_KEYS: Final = 64

_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True, repr=False)
class VerifyingKey:
    key: _Public

    @property
    def fingerprint(self) -> str:
        """What ``openssl pkey -pubin -outform DER | sha256sum`` says of it."""
        return hashlib.sha256(self._der()).hexdigest()

    def _der(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_bytes(serialization.Encoding.DER, form)

    def pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_bytes(serialization.Encoding.PEM, form)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @override
    def __repr__(self) -> str:
        return f"VerifyingKey({self.fingerprint[:16]})"


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    key: _Private

    @property
    def public(self) -> VerifyingKey:
        return VerifyingKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The same message has the same signature (RFC 6979), so a signature is pushed once."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return self.key.sign(message)

    @override
    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint[:16]})"


def signing_key(pem: bytes, password: bytes | None) -> SigningKey:
    """PKCS#8 or SEC 1, encrypted or not; or what ``cosign generate-key-pair`` writes."""
    if len(pem) > LIMIT:
        raise SupplyError(f"the signing key has {len(pem)} bytes, and {LIMIT} are the most")
    if sigstore.is_encrypted(pem):
        return _usable(_der(sigstore.opened(pem, password)))
    try:
        return _usable(serialization.load_pem_private_key(pem, password))
    except TypeError as error:
        given = "is not encrypted, but a password is given"
        needs = "is encrypted, and no password is given"
        raise SupplyError(f"the signing key {needs if password is None else given}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = " (or the password is wrong)" if password is not None else ""
        raise SupplyError(f"the signing key is no private key in PEM{wrong}") from error


def _der(data: bytes) -> object:
    try:
        return serialization.load_der_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SupplyError("the signing key, decrypted, is no private key") from error


def _usable(key: object) -> SigningKey:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return SigningKey(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return SigningKey(key)
    raise SupplyError("the signing key is neither ECDSA on P-256 nor Ed25519")


def verifying_keys(pem: bytes) -> tuple[VerifyingKey, ...]:
    """One public key or several, one after the other, while they are rotated."""
    if len(pem) > LIMIT:
        raise SupplyError(f"the public keys have {len(pem)} bytes, and {LIMIT} are the most")
    blocks = pem.split(_PUBLIC)[1:]
    if not blocks or len(blocks) > _KEYS:
        raise SupplyError(f"there must be 1 to {_KEYS} public keys in PEM, not {len(blocks)}")
    return tuple(_verifying(_PUBLIC + each.partition(_END)[0] + _END + b"\n") for each in blocks)


def _verifying(pem: bytes) -> VerifyingKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SupplyError("a public key cannot be read from its PEM") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return VerifyingKey(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerifyingKey(key)
    raise SupplyError("a public key is neither ECDSA on P-256 nor Ed25519")
