"""What becomes of bentos that are pushed, where somebody wants it, and of those that are gone."""

from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.contracts.event import Envelope
from libs.contracts.identity import Principal
from libs.contracts.registry import BentoPurged, BentoPushed
from services.builder.domain import Order, Origin, Preferences
from services.builder.service.builds import requested
from services.builder.service.tx import SERVICE, Tx


class Pushes:
    """``default`` is what organisations want that never said."""

    def __init__(
        self, database: Database[Tx], *, default: Preferences, woken: Callable[[], None]
    ) -> None:
        self._database = database
        self._default = default
        self._woken = woken

    async def wanted(self, org_id: UUID) -> Preferences:
        async with self._database.read() as tx:
            said = await tx.preferences.get(org_id)
        return self._default if said is None else said[1]

    async def want(self, principal: Principal, preferences: Preferences) -> Preferences:
        async with self._database.transaction() as tx:
            await tx.preferences.put(principal.org_id, principal.org, preferences)
        return preferences

    async def pushed(self, envelope: Envelope[BentoPushed], *, consumer: str) -> None:
        """Queue its image, once. Its models may come later than the bento: the build waits."""
        async with self._database.transaction() as tx:
            if not await tx.inbox.claim(consumer, envelope.id):
                return
            org, preferences = await tx.preferences.get(envelope.orgid) or ("", self._default)
            if not preferences.build_on_push:
                return
            order = _order(envelope, org)
            await tx.builds.add(order)
            await tx.say(requested(order), org_id=order.org_id)
        self._woken()

    async def purged(self, envelope: Envelope[BentoPurged], *, consumer: str) -> None:
        """Its lock goes with it, once: until now it could be built again to the same image."""
        async with self._database.transaction() as tx:
            if await tx.inbox.claim(consumer, envelope.id) and envelope.data.digest is not None:
                await tx.recipes.forget(envelope.orgid, envelope.data.digest)


def _order(envelope: Envelope[BentoPushed], org: str) -> Order:
    bento = envelope.data
    return Order(
        id=uuid7(),
        org_id=envelope.orgid,
        revision_id=None,
        deployment_id=None,
        target="oci",
        bento_id=bento.bento_id,
        repository=bento.repository,
        version=bento.version,
        bento_digest=bento.digest,
        models=(),
        origin=Origin(
            actor=f"service:{SERVICE}",
            correlation_id=envelope.correlationid,
            causation_id=envelope.id,
            traceparent=envelope.traceparent,
        ),
        kind="oci",
        org=org,
        awaited_by="nobody",
        resolved=False,
    )
