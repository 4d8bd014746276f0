"""Paths that whoever has them may use for a while: one method, one path, as one principal."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import jwt
from pydantic import BaseModel, ConfigDict

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.keys import ALGORITHM, KeySet, load_private, thumbprint
from libs.contracts.identity import Principal

PARAMETER: Final = "signature"
_AUDIENCE: Final = "yokocho-url"
"""No service: what is signed for one of them is no signed path, nor is this an identity."""


class SignatureError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "signature-invalid"
    title: ClassVar[str] = "The signed URL cannot be used"


class _Claims(BaseModel):
    model_config = ConfigDict(frozen=True)

    iss: str
    aud: Literal["yokocho-url"] = _AUDIENCE
    exp: int
    method: str
    path: str
    principal: Principal


class UrlSigner:
    def __init__(self, service: str, key_file: Path) -> None:
        self._service = service
        self._key = load_private(key_file)
        self._kid = thumbprint(self._key.public_key())

    def sign(self, method: str, path: str, *, principal: Principal, lifetime: timedelta) -> str:
        """``path`` with its signature as the only parameter."""
        claims = _Claims(
            iss=self._service,
            exp=int((datetime.now(UTC) + lifetime).timestamp()),
            method=method,
            path=path,
            principal=principal,
        )
        body = claims.model_dump(mode="json", exclude_none=True)
        token = jwt.encode(body, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})
        return f"{path}?{PARAMETER}={token}"


class UrlVerifier:
    """Accepts what one of ``issuers`` signed."""

    def __init__(self, public_keys_file: Path, *, issuers: Collection[str]) -> None:
        self._public = public_keys_file
        self._issuers = issuers

    def verify(self, method: str, path: str, signature: str) -> Principal:
        """Raises ``SignatureError``, which never repeats what was sent."""
        try:
            header = jwt.get_unverified_header(signature)
            body: Any = jwt.decode(
                signature,
                self._key(str(header.get("kid"))),
                algorithms=[ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["iss", "aud", "exp"], "strict_aud": True},
            )
            claims = _Claims.model_validate(body)
        except jwt.ExpiredSignatureError as error:
            raise SignatureError("it has expired: ask for another one") from error
        except (jwt.PyJWTError, ValueError, OSError) as error:
            raise SignatureError("its signature is not valid") from error
        if (claims.method, claims.path) != (method, path):
            raise SignatureError("it was signed for another request")
        return claims.principal

    def _key(self, kid: str) -> Any:
        known = KeySet.model_validate_json(self._public.read_bytes())
        for each in known.keys:
            if each.kid == kid and each.iss in self._issuers:
                return each.key()
        raise jwt.InvalidKeyError
