"""Images that must stay: said to whoever owns them before they run, again and again, and unsaid."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.chassis.client import OrgRef
from libs.chassis.errors import ServiceError
from services.deployer.domain.deployment import Deployment, Revision
from services.deployer.service.rollouts import Rollouts, Situation
from services.deployer.service.tx import because

log = structlog.get_logger(__name__)

_EVERY: Final = timedelta(hours=12)
_PATIENCE: Final = timedelta(seconds=2)


class Keeper(Protocol):
    """Whoever owns images, as far as it is needed here."""

    async def hold(self, revision_id: UUID, image_digest: str, org: OrgRef) -> bool:
        """Whether the image is there and stays."""

    async def release(self, revision_id: UUID, org: OrgRef) -> None: ...


class Holds:
    def __init__(
        self, rollouts: Rollouts, keeper: Keeper, *, clock: Callable[[], datetime]
    ) -> None:
        self._rollouts = rollouts
        self._keeper = keeper
        self._clock = clock
        self._said: dict[UUID, datetime] = {}

    async def take(self, revision: Revision, deployment: Deployment) -> bool:
        """False when the image is gone, and another was asked for."""
        with because(revision.cause, "image.hold"):
            digest = revision.image_digest or ""
            kept = await self._keeper.hold(revision.id, digest, _org(deployment))
        if kept:
            await self._rollouts.held(revision)
            self._said[revision.id] = self._clock()
        else:
            await self._rollouts.image_lost(revision)
        return kept

    async def renew(self, situation: Situation) -> bool:
        """Say them again, after a start first; True when an image turned out to be lost.

        A hold that nobody renews goes stale, and images may have been lost with their disk. An
        owner that does not answer keeps nobody from running what is there.
        """
        lost = False
        for revision in situation.revisions:
            if not revision.held or not self._is_due(revision):
                continue
            try:
                async with asyncio.timeout(_PATIENCE.total_seconds()):
                    kept = await self.take(revision, situation.deployment)
            except (ServiceError, TimeoutError) as error:
                log.warning("hold.deferred", revision_id=str(revision.id), reason=repr(error))
                continue
            lost = lost or not kept
        return lost

    async def release(self, revision: Revision, deployment: Deployment, *, retire: bool) -> None:
        """Nothing of it runs any more."""
        if revision.held:
            with because(revision.cause, "image.release"):
                await self._keeper.release(revision.id, _org(deployment))
        await self._rollouts.released(revision, retire=retire)
        self._said.pop(revision.id, None)

    def _is_due(self, revision: Revision) -> bool:
        said = self._said.get(revision.id)
        return said is None or self._clock() - said >= _EVERY


def _org(deployment: Deployment) -> OrgRef:
    return OrgRef(deployment.org_id, deployment.org)
