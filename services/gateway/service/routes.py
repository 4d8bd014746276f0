"""The route table: facts in, versions out, and ``route.applied`` when all have followed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.chassis import context
from libs.chassis.postgres import Database
from libs.contracts.gateway import RouteApplied
from services.gateway.domain import Deleted, Fact, Route, State, after, corrected
from services.gateway.service.tx import Tx
from services.gateway.store import Origin

LEASE: Final = timedelta(seconds=10)
PATIENCE: Final = timedelta(minutes=10)
"""How long a data plane that fell silent is waited for."""
_TOMBSTONES: Final = timedelta(days=30)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """The routes that changed up to ``version``; all of them when ``whole``."""

    version: int
    routes: tuple[Route, ...]
    whole: bool


class Routes:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def record(self, route: Route, fact: Fact, origin: Origin, *, consumer: str) -> bool:
        """Apply a fact of the deployer; says whether the table changed.

        ``route`` is what the deployment's route is if nothing is known of it yet. Idempotent
        by event id; a fact that is older than the newest one heeded is dropped.
        """
        async with self._database.transaction() as tx:
            if origin.event_id is None or not await tx.inbox.claim(consumer, origin.event_id):
                return False
            await tx.routes.lock()
            stored = await tx.routes.get(route.deployment_id)
            if stored is not None and (origin.epoch, origin.seq) < stored.fact:
                return False
            known = stored.route if stored is not None else None
            changed = after(known or route, fact)
            if changed == known:
                await tx.routes.heed(route.deployment_id, origin)
                return False
            version = await tx.routes.put(changed, origin)
        _log.info(
            "route.changed",
            endpoint=changed.endpoint,
            state=changed.state.value,
            generation=changed.generation,
            version=version,
        )
        return True

    async def version(self) -> int:
        async with self._database.read() as tx:
            return await tx.routes.version()

    async def correct(self, seen: Collection[Route], *, asked_at: int) -> int:
        """Make the table what the deployer says it is; returns how many routes changed.

        ``asked_at`` is the table's version from before the question: what has changed since
        then is newer than the answer and stays. An empty answer makes a table, too: data planes
        then know that there is nothing.
        """
        changes = 0
        async with self._database.transaction() as tx:
            await tx.routes.lock()
            for route in seen:
                stored = await tx.routes.get(route.deployment_id)
                if stored is not None and stored.version > asked_at:
                    continue
                right = corrected(stored.route, route) if stored is not None else route
                if stored is None or right != stored.route:
                    await tx.routes.put(right, _unchanged(stored.fact if stored else (0, 0)))
                    changes += 1
            for lost in await tx.routes.gone([each.deployment_id for each in seen], until=asked_at):
                await tx.routes.put(after(lost.route, Deleted()), _unchanged(lost.fact))
                changes += 1
            if not changes and not asked_at:
                await tx.routes.begin()
        return changes

    async def changes(self, since: int) -> Change:
        """What a data plane at version ``since`` has to learn; everything, if it knows nothing."""
        async with self._database.transaction() as tx:
            version = await tx.routes.version()
            whole = not 0 < since <= version
            stored = await (tx.routes.all() if whole else tx.routes.since(since))
        newest = max([version, *(each.version for each in stored)])
        return Change(newest, tuple(each.route for each in stored), whole)

    async def renew(self, plane: str, version: int) -> None:
        async with self._database.transaction() as tx:
            await tx.planes.renew(plane, version)

    async def leave(self, plane: str) -> None:
        async with self._database.transaction() as tx:
            await tx.planes.leave(plane)

    async def announce(self) -> int:
        """Say ``route.applied`` of what all data planes serve; returns how often it was said.

        Any number of gateways may try at once: the row lets one of them through.
        """
        said = 0
        async with self._database.transaction() as tx:
            version = await tx.planes.common_version(lease=LEASE, patience=PATIENCE)
            if version is None:
                return 0
            for each in await tx.routes.unapplied(version):
                if await tx.routes.apply(each.deployment_id, each.generation):
                    with context.bound(_cause(each.org_id, each.origin)):
                        event = RouteApplied(
                            deployment_id=each.deployment_id, generation=each.generation
                        )
                        await tx.outbox.append(event, entity_seq=each.generation)
                    said += 1
        return said

    async def tidy(self) -> None:
        """Forget tombstones, and data planes that nobody waits for any more."""
        async with self._database.transaction() as tx:
            await tx.routes.forget(_TOMBSTONES)
            await tx.planes.forget(PATIENCE)


def starting(deployment_id: UUID, *, org_id: UUID, namespace: str, deployment: str) -> Route:
    """The route of a deployment of which nothing else is known."""
    return Route(deployment_id, org_id, namespace, deployment, State.STARTING)


def _unchanged(fact: tuple[int, int]) -> Origin:
    epoch, seq = fact
    return Origin(epoch=epoch, seq=seq)


def _cause(org_id: UUID, origin: Origin) -> context.Cause:
    return context.Cause(
        actor="service:gateway",
        org_id=org_id,
        correlation_id=origin.correlation_id or f"route-{origin.event_id or org_id}",
        causation_id=origin.event_id,
        traceparent=origin.traceparent,
    )
