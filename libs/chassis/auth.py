"""Who is calling: signed identities between services, and the one decision what they may do."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, ValidationError

from libs.chassis.errors import Kind, ServiceError
from libs.contracts.identity import Claims, Person, Principal
from libs.contracts.types import ServiceName

Authenticate = Callable[[web.Request], Awaitable[Principal]]

_ALGORITHM: Final = "EdDSA"
_LIFETIME: Final = timedelta(seconds=60)
_SKEW: Final = timedelta(seconds=5)
_SPEAKS_FOR_USERS: Final = "gateway"


class UnauthenticatedError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "unauthenticated"
    title: ClassVar[str] = "The caller is not known"


class ForbiddenError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "forbidden"
    title: ClassVar[str] = "The caller may not do this"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why ``authorize`` said no."""

    action: str
    reason: str


def authorize(principal: Principal, action: str, resource: UUID | None = None) -> Refusal | None:
    """Members of an organisation may do everything inside it, and nothing outside.

    ``resource`` is the organisation that owns what the action touches, where the caller of
    this function knows it.
    """
    if resource is not None and resource != principal.org_id:
        return Refusal(action, "it belongs to another organisation")
    return None


class Signer:
    """Signs this service's calls to others."""

    def __init__(self, service: str, key_file: Path) -> None:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError(f"{key_file} holds no Ed25519 private key")
        self._service = service
        self._key = key
        self._kid = _thumbprint(key.public_key())

    def token(
        self,
        principal_actor: str,
        *,
        audience: str,
        org_id: UUID,
        org: str,
        person: Person | None = None,
    ) -> str:
        """An identity that ``audience`` alone accepts, for one minute."""
        now = int(time.time())
        claims = Claims(
            iss=self._service,
            aud=audience,
            sub=principal_actor,
            iat=now,
            exp=now + int(_LIFETIME.total_seconds()),
            org_id=org_id,
            org=org,
            person=person,
        )
        body = claims.model_dump(mode="json", exclude_none=True)
        return jwt.encode(body, self._key, algorithm=_ALGORITHM, headers={"kid": self._kid})


class PublicKey(BaseModel):
    """One entry of the key set (RFC 8037), with the only issuer that may use it."""

    model_config = ConfigDict(frozen=True)

    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = _ALGORITHM
    use: str = "sig"
    kid: str
    x: str
    iss: ServiceName

    def key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(_decoded(self.x))


class KeySet(BaseModel):
    """Public keys of all services; one service may have several at once (rotation)."""

    keys: tuple[PublicKey, ...] = ()


class Verifier:
    """Accepts only identities that another service signed for this one."""

    def __init__(self, service: str, jwks_file: Path) -> None:
        self._service = service
        self._file = jwks_file
        self._read_at = 0
        self._keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        self._refresh()

    def verify(self, token: str) -> Principal:
        """Raises ``UnauthenticatedError``; its detail says what is wrong, never what was sent."""
        try:
            header = jwt.get_unverified_header(token)
            issuer, key = self._key(header)
            body = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=self._service,
                issuer=issuer,
                leeway=_SKEW,
                options={"require": ["iss", "aud", "sub", "iat", "exp"], "strict_aud": True},
            )
            claims = Claims.model_validate(body)
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("the service identity has expired") from error
        except (jwt.PyJWTError, ValidationError) as error:
            raise UnauthenticatedError("the service identity is not valid") from error
        return _principal(claims)

    def _key(self, header: dict[str, Any]) -> tuple[str, Ed25519PublicKey]:
        if header.get("alg") != _ALGORITHM:
            raise jwt.InvalidAlgorithmError
        kid = header.get("kid")
        if kid not in self._keys:
            self._refresh()
        if not isinstance(kid, str) or kid not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[kid]

    def _refresh(self) -> None:
        """Read the key set again if the file has changed: a key may be added while we run."""
        changed = self._file.stat().st_mtime_ns
        if changed != self._read_at:
            found = KeySet.model_validate_json(self._file.read_bytes())
            self._keys = {each.kid: (each.iss, each.key()) for each in found.keys}
            self._read_at = changed


def service_authenticator(verifier: Verifier) -> Authenticate:
    """Reads ``Authorization: Bearer <identity>``."""

    async def authenticate(request: web.Request) -> Principal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError("this is called by services only, with their identity")
        return verifier.verify(token.strip())

    return authenticate


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
    if file.exists():
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    else:
        key = Ed25519PrivateKey.generate()
        _write(
            file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
    public = key.public_key()
    if not isinstance(public, Ed25519PublicKey):
        raise TypeError(f"{file} holds no Ed25519 private key")
    return PublicKey(kid=_thumbprint(public), x=_encoded(public.public_bytes_raw()), iss=service)


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def _principal(claims: Claims) -> Principal:
    kind, _, name = claims.sub.partition(":")
    own = kind == "service" and name == claims.iss
    if claims.iss != _SPEAKS_FOR_USERS and (not own or claims.person is not None):
        raise UnauthenticatedError(f"{claims.iss} may speak for itself only")
    if kind == "service" and not own:
        raise UnauthenticatedError(f"{claims.iss} may not speak for {name}")
    if not 0 < claims.exp - claims.iat <= _LIFETIME.total_seconds():
        raise UnauthenticatedError("the service identity lives longer than a minute")
    return Principal(
        actor=claims.sub,
        issuer=claims.iss,
        org_id=claims.org_id,
        org=claims.org,
        person=claims.person,
    )


def _thumbprint(key: Ed25519PublicKey) -> str:
    """RFC 7638: the key names itself."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(key.public_bytes_raw())}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _encoded(hashlib.sha256(canonical.encode()).digest())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
