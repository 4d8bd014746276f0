"""Who holds a token: asked of the database, remembered for moments, or longer when it is away."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from libs.chassis.errors import Kind, ServiceError
from libs.chassis.postgres import Database
from services.gateway.domain import TOKEN, Identity, digest_of
from services.gateway.errors import (
    OtherOrganisationError,
    TokenMissingError,
    TokenUncheckedError,
    TokenUnknownError,
)
from services.gateway.service.tx import Tx

FRESH: Final = timedelta(seconds=4)
"""How long an answer is not asked for again: a revocation takes effect within 5 s."""
KNOWN: Final = timedelta(minutes=15)
"""How long an answer stands while the database is away."""
_LOOKUP: Final = timedelta(seconds=0.75)
_PAUSE: Final = timedelta(seconds=1)
_MOST: Final = 20_000

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Answer:
    identity: Identity | None
    at: datetime


class Tokens:
    """One cache for both listeners; a wrong token does not cost a query each time either."""

    def __init__(
        self,
        database: Database[Tx],
        *,
        known_for: timedelta = KNOWN,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._known_for = known_for
        self._clock = clock
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._away_until: datetime | None = None

    async def identify(self, token: str | None, *, org: str | None = None) -> Identity:
        """The holder of ``token``; refuses one that is absent, invalid or for another ``org``."""
        if not token:
            raise TokenMissingError
        identity = await self.holder(token)
        if identity is None:
            raise TokenUnknownError
        if org and org != identity.org.name:
            raise OtherOrganisationError(org)
        return identity

    async def holder(self, token: str) -> Identity | None:
        """None when nobody holds it; ``TokenUncheckedError`` when that cannot be known now."""
        if not TOKEN.fullmatch(token):
            return None
        digest, now = digest_of(token), self._clock()
        answer = self._answers.get(digest)
        if answer is None or now - answer.at > FRESH:
            answer = await self._asked(digest, now, answer)
        identity = answer.identity
        return identity if identity is not None and identity.is_valid(now) else None

    async def _asked(self, digest: bytes, now: datetime, last: _Answer | None) -> _Answer:
        if self._away_until is None or now >= self._away_until:
            try:
                return await self._look_up(digest, now)
            except (ServiceError, TimeoutError) as error:
                if isinstance(error, ServiceError) and error.kind is not Kind.UNAVAILABLE:
                    raise
                self._away_until = now + _PAUSE
                _log.warning("tokens.database_away")
        if last is None or now - last.at > self._known_for:
            raise TokenUncheckedError
        return last

    async def _look_up(self, digest: bytes, now: datetime) -> _Answer:
        async with asyncio.timeout(_LOOKUP.total_seconds()), self._database.read() as tx:
            answer = _Answer(await tx.identities.holder(digest, now=now), now)
        self._away_until = None
        self._answers[digest] = answer
        self._answers.move_to_end(digest)
        while len(self._answers) > _MOST:
            self._answers.popitem(last=False)
        return answer
