"""Images that may run: those that somebody signed whom the platform believes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from libs.chassis.client import OrgRef
from services.deployer.domain.deployment import Revision
from services.deployer.domain.verdict import Verdict
from services.deployer.errors import ImageUnsignedError
from services.deployer.service.tx import because


class Judge(Protocol):
    """Whoever knows signatures, as far as it is needed here."""

    async def verdict(self, image_digest: str, org: OrgRef) -> Verdict: ...


class Trust:
    """``patience`` is how long a signature may take that is still to come."""

    def __init__(
        self,
        judge: Judge,
        *,
        patience: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._judge = judge
        self._patience = patience
        self._clock = clock
        self._waiting: dict[UUID, datetime] = {}

    async def objection(self, revision: Revision, org: OrgRef) -> str:
        """Why its image must not run, or nothing. Raises as long as a signature may come."""
        digest = revision.image_digest or ""
        with because(revision.cause, "image.verify"):
            verdict = await self._judge.verdict(digest, org)
        reasons = "; ".join(dict.fromkeys(verdict.reasons))  # of several forms of one signature
        why = f"no signature of image {digest} is believed: {reasons}"
        if verdict.pending and not verdict.trusted:
            since = self._waiting.setdefault(revision.id, self._clock())
            if self._clock() - since < self._patience:
                raise ImageUnsignedError(digest)
            why += f", {self._patience.total_seconds():g} seconds after it was asked for"
        self.forget(revision)
        return "" if verdict.trusted else why

    def forget(self, revision: Revision) -> None:
        self._waiting.pop(revision.id, None)
