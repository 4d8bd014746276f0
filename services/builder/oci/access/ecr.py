"""Amazon's registries: a password for half a day, asked for with the identity of this process."""

import asyncio
import base64
import binascii
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from services.builder.errors import BuildFailedError, RegistryUnreachableError
from services.builder.oci.access.protocol import basic

_HOST: Final = re.compile(
    r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)"
)
_CONFIG: Final = AioConfig(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 1})
"""Whoever asks the registry tries again, and with it this."""
_MARGIN: Final = timedelta(minutes=10)
"""What is sent with it takes its time."""
_SESSION_NAME: Final = "yokocho-builder"
_CRASH: Final = 500
_BUSY: Final = frozenset({"ThrottlingException", "Throttling", "ServerException"})


def region_of(registry: str) -> str | None:
    """``None`` where it is no registry of Amazon's."""
    found = _HOST.fullmatch(registry)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    until: datetime


class EcrAccess:
    """``role`` is assumed first, where one is named. ``endpoint_url`` is for both services."""

    def __init__(
        self, region: str, *, role: str | None = None, endpoint_url: str | None = None
    ) -> None:
        self._region = region
        self._role = role
        self._endpoint = endpoint_url
        self._kept: _Kept | None = None
        self._lock = asyncio.Lock()

    async def authorization(self, *, challenge: str | None, scope: str) -> str | None:
        del scope
        known = self._kept
        async with self._lock:
            kept = self._kept
            stale = kept is None or kept.until <= datetime.now(UTC)
            if kept is None or stale or (challenge is not None and kept is known):
                self._kept = None
                kept = self._kept = await self._ask()
        return kept.value

    async def _ask(self) -> _Kept:
        try:
            async with AsyncExitStack() as stack:
                keys = await self._assume(stack) if self._role else {}
                client = await stack.enter_async_context(self._client("ecr", **keys))
                answer = await client.get_authorization_token()
        except ClientError as error:
            raise self._refusal(error) from None
        except NoCredentialsError:
            raise BuildFailedError("registry-denied", "there are no credentials of AWS") from None
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise RegistryUnreachableError(self._name, type(error).__name__) from None
        return self._understood(answer)

    async def _assume(self, stack: AsyncExitStack) -> dict[str, str]:
        client = await stack.enter_async_context(self._client("sts"))
        answer = await client.assume_role(RoleArn=self._role, RoleSessionName=_SESSION_NAME)
        keys = answer["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def _client(self, service: str, **keys: str) -> Any:
        made: Any = _session()
        return made.create_client(
            service,
            region_name=self._region,
            endpoint_url=self._endpoint,
            config=_CONFIG,
            **keys,
        )

    def _refusal(self, error: ClientError) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))[:100]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= _CRASH or code in _BUSY:
            return RegistryUnreachableError(self._name, f"no password: {code}")
        return BuildFailedError("registry-denied", f"{self._name} gives no password: {code}")

    def _understood(self, answer: Any) -> _Kept:
        try:
            [said] = answer["authorizationData"]
            raw = base64.b64decode(said["authorizationToken"], validate=True).decode()
            username, _, password = raw.partition(":")
            until = said["expiresAt"] - _MARGIN
        except (KeyError, ValueError, TypeError, binascii.Error):
            why = f"{self._name} answers with no password"
            raise BuildFailedError("registry-denied", why) from None
        return _Kept(basic(username, password), until)

    @property
    def _name(self) -> str:
        return f"ECR of {self._region}"


@cache
def _session() -> AioSession:
    """One for all clients: it reads its descriptions of services once."""
    return get_session()
