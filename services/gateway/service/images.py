"""Tokens for images: short-lived, signed, and good for the repositories that were asked for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from pydantic import BaseModel, ConfigDict

from libs.chassis.keys import ALGORITHM, KeySet, load_private, thumbprint
from libs.contracts.identity import Principal
from services.gateway.errors import TokenUnknownError
from services.gateway.routing.images import Scope

LIFETIME: Final = timedelta(minutes=5)
_AUDIENCE: Final = "yokocho-images"
"""No service: what is signed for one of them is not accepted here, nor this there."""
_ISSUER: Final = "gateway"


class ImageClaims(BaseModel):
    """Body of the token."""

    model_config = ConfigDict(frozen=True)

    iss: Literal["gateway"] = _ISSUER
    aud: Literal["yokocho-images"] = _AUDIENCE
    iat: int
    exp: int
    principal: Principal
    access: tuple[Scope, ...]


class ImageTokens:
    """Any gateway reads what another one signed."""

    def __init__(
        self,
        key_file: Path,
        public_keys_file: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key = load_private(key_file)
        self._kid = thumbprint(self._key.public_key())
        self._public = public_keys_file
        self._clock = clock

    def issue(
        self, principal: Principal, access: tuple[Scope, ...], *, until: datetime | None
    ) -> tuple[str, ImageClaims]:
        """Good for five minutes, and not longer than the token that it was got with."""
        now = self._clock()
        end = min(now + LIFETIME, until or now + LIFETIME)
        claims = ImageClaims(
            iat=int(now.timestamp()), exp=int(end.timestamp()), principal=principal, access=access
        )
        body = claims.model_dump(mode="json", exclude_none=True)
        token = jwt.encode(body, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})
        return token, claims

    def read(self, token: str) -> ImageClaims:
        """Raises ``TokenUnknownError``."""
        try:
            header = jwt.get_unverified_header(token)
            body: Any = jwt.decode(
                token,
                self._of(str(header.get("kid"))),
                algorithms=[ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": ["iss", "aud", "iat", "exp"], "strict_aud": True},
            )
            return ImageClaims.model_validate(body)
        except (jwt.PyJWTError, ValueError, OSError) as error:
            raise TokenUnknownError from error

    def _of(self, kid: str) -> Any:
        if kid == self._kid:
            return self._key.public_key()
        known = KeySet.model_validate_json(self._public.read_bytes())
        for each in known.keys:
            if each.kid == kid and each.iss == _ISSUER:
                return each.key()
        raise jwt.InvalidKeyError
