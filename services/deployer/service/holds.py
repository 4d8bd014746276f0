"""What must stay: said to whoever owns it before it runs, again and again, and unsaid."""

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


class Shelf(Protocol):
    """Whoever owns bentos and models, as far as it is needed here."""

    async def hold(
        self, revision_id: UUID, bento_id: UUID, *, deployment: str, org: OrgRef
    ) -> None:
        """The bento and the models that it names stay, from now on or again."""

    async def release(self, revision_id: UUID, org: OrgRef) -> None: ...


class Holds:
    def __init__(
        self,
        rollouts: Rollouts,
        keeper: Keeper,
        shelf: Shelf,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._rollouts = rollouts
        self._keeper = keeper
        self._shelf = shelf
        self._clock = clock
        self._said: dict[UUID, datetime] = {}
        self._shelved: dict[UUID, datetime] = {}

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
            if _is_due(self._shelved.get(revision.id), self._clock()):
                await self._shelve(revision, situation.deployment)
            if not revision.held or not _is_due(self._said.get(revision.id), self._clock()):
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
        if retire:
            await self._unshelve(revision, deployment)

    async def _shelve(self, revision: Revision, deployment: Deployment) -> None:
        """From the first look on, so that nothing goes that a build is going to need."""
        bento = await self._rollouts.bento(revision)
        try:
            with because(revision.cause, "bento.hold"):
                async with asyncio.timeout(_PATIENCE.total_seconds()):
                    await self._shelf.hold(
                        revision.id,
                        bento.bento_id,
                        deployment=deployment.address.wire,
                        org=_org(deployment),
                    )
        except (ServiceError, TimeoutError) as error:
            log.warning("hold.deferred", revision_id=str(revision.id), reason=repr(error))
        else:
            self._shelved[revision.id] = self._clock()

    async def _unshelve(self, revision: Revision, deployment: Deployment) -> None:
        """A registry that does not answer asks by itself, a day later."""
        self._shelved.pop(revision.id, None)
        try:
            with because(revision.cause, "bento.release"):
                async with asyncio.timeout(_PATIENCE.total_seconds()):
                    await self._shelf.release(revision.id, _org(deployment))
        except (ServiceError, TimeoutError) as error:
            log.warning("release.deferred", revision_id=str(revision.id), reason=repr(error))


def _is_due(said: datetime | None, now: datetime) -> bool:
    return said is None or now - said >= _EVERY


def _org(deployment: Deployment) -> OrgRef:
    return OrgRef(deployment.org_id, deployment.org)
