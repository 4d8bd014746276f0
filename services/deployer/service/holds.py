"""What must stay: said to whoever owns it before it runs, again and again, and unsaid."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.chassis.client import OrgRef
from libs.chassis.errors import ServiceError
from services.deployer.domain.deployment import Deployment, Revision, Stage
from services.deployer.service.rollouts import Rollouts, Situation
from services.deployer.service.trust import Trust
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
    """With ``trust``, only what is trusted is held for longer than it takes to find that out."""

    def __init__(
        self,
        rollouts: Rollouts,
        keeper: Keeper,
        shelf: Shelf,
        *,
        trust: Trust | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._rollouts = rollouts
        self._keeper = keeper
        self._shelf = shelf
        self._trust = trust
        self._clock = clock
        self._said: dict[UUID, datetime] = {}
        self._shelved: dict[UUID, datetime] = {}

    async def take(self, revision: Revision, deployment: Deployment) -> bool:
        """False when it will not run from this image: it is gone, or is not trusted."""
        with because(revision.cause, "image.hold"):
            digest = revision.image_digest or ""
            kept = await self._keeper.hold(revision.id, digest, _org(deployment))
        if not kept:
            await self._rollouts.image_lost(revision)
        elif await self._is_trusted(revision, deployment):
            await self._rollouts.held(revision)
            self._said[revision.id] = self._clock()
            return True
        return False

    async def renew(self, situation: Situation) -> bool:
        """Say them again, after a start first; True when a revision cannot go on as it was.

        A hold that nobody renews goes stale, and images may have been lost with their disk. An
        owner that does not answer keeps nobody from running what is there.
        """
        changed = False
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
            changed = changed or not kept
        return changed

    async def release(self, revision: Revision, deployment: Deployment, *, retire: bool) -> None:
        """Nothing of it runs any more."""
        if revision.held or revision.stage is Stage.BUILT:  # held, and that was not noted
            with because(revision.cause, "image.release"):
                await self._keeper.release(revision.id, _org(deployment))
        await self._rollouts.released(revision, retire=retire)
        self._said.pop(revision.id, None)
        if self._trust is not None:
            self._trust.forget(revision)
        if retire:
            await self._unshelve(revision, deployment)

    async def _is_trusted(self, revision: Revision, deployment: Deployment) -> bool:
        """What runs already goes on: it was let in when it was looked at, or before policy was."""
        if self._trust is None:
            return True
        why = await self._trust.objection(revision, _org(deployment))
        if not why:
            return True
        if revision.stage is not Stage.BUILT:
            log.warning("image.not_trusted", revision_id=str(revision.id), reason=why)
            return True
        if not revision.held:
            with because(revision.cause, "image.release"):
                await self._keeper.release(revision.id, _org(deployment))
        await self._rollouts.fail(revision, code="image-not-trusted", reason=why)
        return False

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
