"""The keys behind service identities: made, named and published as one key set."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict

from libs.contracts.types import ServiceName

ALGORITHM: Final = "EdDSA"


class PublicKey(BaseModel):
    """One entry of the key set (RFC 8037), with the only issuer that may use it."""

    model_config = ConfigDict(frozen=True)

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    alg: Literal["EdDSA"] = ALGORITHM
    use: Literal["sig"] = "sig"
    kid: str
    x: str
    iss: ServiceName

    def key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(_decoded(self.x))


class KeySet(BaseModel):
    """Public keys of all services; one service may have several at once (rotation)."""

    keys: tuple[PublicKey, ...] = ()


def load_private(file: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{file} holds no Ed25519 private key")
    return key


def derived_key(file: Path, purpose: str) -> bytes:
    """A key of the same service for something else; another one when its key is replaced."""
    own = load_private(file).private_bytes_raw()
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(own)


def generate_keys(directory: Path, services: Iterable[str]) -> None:
    """Make ``<service>.pem`` where it is missing, and ``public.json`` with all public keys.

    Keys that ``public.json`` already lists stay valid, so that removing a ``.pem`` and calling
    this again rotates that service's key without refusing what runs with the old one.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = directory / "public.json"
    known = KeySet.model_validate_json(public.read_bytes()).keys if public.exists() else ()
    keys = {each.kid: each for each in known}
    for service in services:
        entry = _own_key(directory / f"{service}.pem", service)
        keys.setdefault(entry.kid, entry)
    _write(public, KeySet(keys=tuple(keys.values())).model_dump_json(indent=1).encode())


def _own_key(file: Path, service: str) -> PublicKey:
    if not file.exists():
        new = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write(file, new)
    public = load_private(file).public_key()
    return PublicKey(kid=thumbprint(public), x=_encoded(public.public_bytes_raw()), iss=service)


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def thumbprint(key: Ed25519PublicKey) -> str:
    """RFC 7638: the key names itself."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(key.public_bytes_raw())}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _encoded(hashlib.sha256(canonical.encode()).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
