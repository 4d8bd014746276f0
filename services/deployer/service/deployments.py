"""What people ask of deployments. Each use case is one transaction."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.contracts.identity import Principal
from libs.contracts.registry import ResolvedBento
from services.deployer.domain.config import changes, described, from_wire
from services.deployer.domain.deployment import Deployment, Goal, Revision, Stage
from services.deployer.domain.layout import layout_of, service_names
from services.deployer.domain.names import Address, Tag, invented_name
from services.deployer.errors import (
    DeploymentEndingError,
    DeploymentExistsError,
    DeploymentNotFoundError,
    NamespaceTakenError,
    NotIsolatedError,
)
from services.deployer.service import facts
from services.deployer.service.facts import Kind
from services.deployer.service.making import (
    Make,
    current_cause,
    is_same_request,
    person_of,
    pinned,
    revise,
)
from services.deployer.service.order import Order
from services.deployer.service.tx import Tx


class BentoSource(Protocol):
    """The registry, as far as it is needed here."""

    async def resolve(self, tag: Tag, principal: Principal) -> ResolvedBento:
        """The bento with its digest and its models', or an error that says what is missing."""


class Deployments:
    """``woken`` is called with the id of each deployment that changed, after the commit.

    Where what runs is not ``isolated``, only one organisation may deploy.
    """

    def __init__(
        self,
        database: Database[Tx],
        bentos: BentoSource,
        *,
        key: bytes,
        woken: Callable[[UUID], None],
        isolated: bool = False,
        kind: Kind = "environment",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._bentos = bentos
        self._key = key
        self._woken = woken
        self._isolated = isolated
        self._kind: Kind = kind
        self._clock = clock

    async def create(self, order: Order, *, cluster: str, principal: Principal) -> UUID:
        """A deployment with its first revision.

        A repetition by the same person while the first one is still coming up is taken for the
        same request, whose answer was lost; later, or with other content, the name is taken.
        """
        bento = await self._bentos.resolve(order.bento, principal)
        name = order.name or invented_name(bento.repository, secrets.token_hex(2))
        deployment = self._new(Address.parse(name), order, cluster=cluster, principal=principal)
        make = _make(deployment, order, bento, principal=principal, previous=None)
        async with self._database.transaction() as tx:
            await _claim(tx, deployment, isolated=self._isolated)
            if await tx.deployments.add(deployment):
                await revise(tx, make, kind=self._kind, now=self._clock())
            else:
                deployment = await _there(tx, make)
        self._woken(deployment.id)
        return deployment.id

    async def update(
        self, address: Address, order: Order, *, cluster: str, principal: Principal
    ) -> UUID:
        """Replace what it is, and run it if it was terminated. The same again changes nothing."""
        bento = await self._bentos.resolve(order.bento, principal)
        async with self._database.transaction() as tx:
            deployment = await _changeable(tx, address, cluster=cluster, principal=principal)
            latest = (await tx.revisions.latest([deployment.id])).get(deployment.id)
            make = _make(deployment, order, bento, principal=principal, previous=latest)
            before, after = await self._difference(tx, make, order.labels)
            if order.labels is not None and order.labels != deployment.labels:
                await tx.deployments.relabel(deployment.id, order.labels, self._clock())
            if set(after) - {"labels"} or _over(deployment, latest):
                await revise(tx, make, kind=self._kind, now=self._clock())
            if after:
                event = facts.updated(deployment, before, after)
                await tx.say(event, org_id=deployment.org_id)
        self._woken(deployment.id)
        return deployment.id

    async def repeat(self, address: Address, *, cluster: str, principal: Principal) -> UUID:
        """A new revision of the same bento with the same configuration."""
        async with self._database.transaction() as tx:
            deployment = await _changeable(tx, address, cluster=cluster, principal=principal)
            latest = (await tx.revisions.latest([deployment.id]))[deployment.id]
            bento = await tx.revisions.bento(latest.id)
            config = from_wire(await tx.revisions.config(latest.id))
            creator = person_of(principal)
            make = Make(deployment, bento, config, latest.layout, creator, previous=latest)
            await revise(tx, make, kind=self._kind, now=self._clock())
            event = facts.updated(
                deployment, {"revision": latest.number}, {"revision": make.number}
            )
            await tx.say(event, org_id=deployment.org_id)
        self._woken(deployment.id)
        return deployment.id

    async def terminate(self, address: Address, *, cluster: str, principal: Principal) -> UUID:
        """Stop everything; the deployment stays and can be updated to run again. Idempotent."""
        async with self._database.transaction() as tx:
            deployment = await _changeable(tx, address, cluster=cluster, principal=principal)
            if deployment.goal is Goal.RUN:
                await self._aim(tx, deployment, Goal.STOP)
        self._woken(deployment.id)
        return deployment.id

    async def delete(self, address: Address, *, cluster: str, principal: Principal) -> UUID | None:
        """Stop everything, then free the name; at once (and None) where nothing runs any more.

        Idempotent until the name is free.
        """
        async with self._database.transaction() as tx:
            deployment = await _existing(tx, address, cluster=cluster, principal=principal)
            idle = deployment.ended and not await tx.revisions.live(deployment.id)
            if deployment.goal is not Goal.REMOVE:
                await self._aim(tx, deployment, Goal.REMOVE)
            if idle:
                await tx.say(facts.deleted(deployment), org_id=deployment.org_id)
                await tx.deployments.remove(deployment.id)
        self._woken(deployment.id)
        return None if idle else deployment.id

    def _new(
        self, address: Address, order: Order, *, cluster: str, principal: Principal
    ) -> Deployment:
        now = self._clock()
        return Deployment(
            id=uuid7(),
            org_id=principal.org_id,
            org=principal.org,
            cluster=cluster,
            address=address,
            goal=Goal.RUN,
            labels=order.labels or (),
            creator=person_of(principal),
            cause=current_cause(),
            generation=0,
            applied_generation=0,
            applied_at=None,
            routed_revision_id=None,
            upstreams=(),
            ended_at=None,
            created_at=now,
            updated_at=now,
        )

    async def _aim(self, tx: Tx, deployment: Deployment, goal: Goal) -> None:
        await tx.deployments.aim(deployment.id, goal, current_cause(), now=self._clock())
        event = facts.updated(deployment, {"goal": deployment.goal}, {"goal": goal})
        await tx.say(event, org_id=deployment.org_id)

    async def _difference(
        self, tx: Tx, make: Make, labels: tuple[dict[str, str], ...] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        deployment, previous = make.deployment, make.previous
        before: dict[str, Any] = {"goal": deployment.goal, "labels": list(deployment.labels)}
        after: dict[str, Any] = {
            "goal": Goal.RUN,
            "labels": before["labels"] if labels is None else list(labels),
            **pinned(make.bento),
            **described(make.config, self._key),
        }
        if previous is not None:
            config = from_wire(await tx.revisions.config(previous.id))
            bento = pinned(await tx.revisions.bento(previous.id))
            before |= {**bento, **described(config, self._key)}
        return changes(before, after)


def _make(
    deployment: Deployment,
    order: Order,
    bento: ResolvedBento,
    *,
    principal: Principal,
    previous: Revision | None,
) -> Make:
    config = order.config.only(service_names(bento.manifest))
    layout = layout_of(bento.manifest, config)
    return Make(deployment, bento, config, layout, person_of(principal), previous=previous)


async def _claim(tx: Tx, deployment: Deployment, *, isolated: bool) -> None:
    """Namespaces belong to one organisation, and so does all of a target that isolates nobody."""
    cluster, org_id = deployment.cluster, deployment.org_id
    namespace = deployment.address.namespace
    if not isolated and await tx.deployments.serves_another(cluster, org_id):
        raise NotIsolatedError
    if await tx.deployments.claim_namespace(cluster, namespace, org_id) != org_id:
        raise NamespaceTakenError(namespace)


async def _there(tx: Tx, make: Make) -> Deployment:
    """The deployment that has the name, if this very request has made it."""
    wanted = make.deployment
    found = await tx.deployments.find(wanted.org_id, wanted.cluster, wanted.address)
    if found is None or not await is_same_request(tx, found, make):
        ending = found is None or found.goal is Goal.REMOVE
        raise DeploymentExistsError(wanted.address.wire, ending=ending)
    return found


async def _existing(tx: Tx, address: Address, *, cluster: str, principal: Principal) -> Deployment:
    found = await tx.deployments.find(principal.org_id, cluster, address, lock=True)
    if found is None:
        raise DeploymentNotFoundError(address.wire)
    return found


async def _changeable(
    tx: Tx, address: Address, *, cluster: str, principal: Principal
) -> Deployment:
    found = await _existing(tx, address, cluster=cluster, principal=principal)
    if found.goal is Goal.REMOVE:
        raise DeploymentEndingError(address.wire)
    return found


def _over(deployment: Deployment, latest: Revision | None) -> bool:
    """Whether only a new revision can run again."""
    return (
        deployment.goal is not Goal.RUN
        or latest is None
        or latest.stage in {Stage.FAILED, Stage.IMAGE_FAILED, Stage.RETIRED}
    )
