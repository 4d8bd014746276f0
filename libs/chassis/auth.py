"""Who is calling: signed identities between services, and the one decision what they may do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import jwt
import structlog
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.keys import ALGORITHM, KeySet, generate_keys, load_private, thumbprint
from libs.contracts.identity import Claims, Person, Principal

__all__ = [
    "PRINCIPAL",
    "Authenticate",
    "ForbiddenError",
    "Refusal",
    "Signer",
    "UnauthenticatedError",
    "Verifier",
    "authorize",
    "generate_keys",
    "service_authenticator",
]

Authenticate = Callable[[web.Request], Awaitable[Principal]]
PRINCIPAL: Final = web.RequestKey("principal", Principal)
"""The verified caller of a request, set before its handler runs."""

_LIFETIME: Final = timedelta(seconds=60)
_SKEW: Final = timedelta(seconds=5)
_SPEAKS_FOR_USERS: Final = "gateway"
_log = structlog.get_logger()


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


def require(principal: Principal, action: str) -> None:
    """Raises ``ForbiddenError``: for what depends on more than the route."""
    refusal = authorize(principal, action)
    if refusal is not None:
        raise ForbiddenError(refusal.reason, action=refusal.action)


class Signer:
    """Signs this service's calls to others."""

    def __init__(self, service: str, key_file: Path) -> None:
        self._service = service
        self._key = load_private(key_file)
        self._kid = thumbprint(self._key.public_key())

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
        now = int(datetime.now(UTC).timestamp())
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
        return jwt.encode(body, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})


class Verifier:
    """Accepts only identities that another service signed for this one."""

    def __init__(self, service: str, jwks_file: Path) -> None:
        self._service = service
        self._file = jwks_file
        self._read_at = 0
        self._keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        self._load()

    def verify(self, token: str) -> Principal:
        """Raises ``UnauthenticatedError``; its detail says what is wrong, never what was sent."""
        try:
            header = jwt.get_unverified_header(token)
            issuer, key = self._key(header)
            body = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._service,
                issuer=issuer,
                leeway=_SKEW,
                options={"require": ["iss", "aud", "sub", "iat", "exp"], "strict_aud": True},
            )
            claims = Claims.model_validate(body)
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("the service identity has expired") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthenticatedError("the service identity is not valid") from error
        return _principal(claims)

    def _key(self, header: dict[str, Any]) -> tuple[str, Ed25519PublicKey]:
        if header.get("alg") != ALGORITHM:
            raise jwt.InvalidAlgorithmError
        kid = str(header.get("kid"))
        if kid not in self._keys:
            self._refresh()
        if kid not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[kid]

    def _refresh(self) -> None:
        """A key may have been added while we run. A file that cannot be read changes nothing."""
        try:
            self._load()
        except (OSError, ValueError):
            _log.exception("identity.keys_unreadable", file=str(self._file))

    def _load(self) -> None:
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
