"""What can be seen of deployments. Changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.chassis.postgres import Database
from libs.contracts.deployer import RouteState, RouteView, Upstream
from libs.contracts.types import cut
from services.deployer.domain.deployment import (
    Deployment,
    Goal,
    Replica,
    Revision,
    Snapshot,
    Stage,
    reason_of,
)
from services.deployer.domain.names import Address
from services.deployer.domain.selection import Selection
from services.deployer.errors import DeploymentNotFoundError
from services.deployer.service.tx import Tx


@dataclass(frozen=True, slots=True)
class Shown:
    """A deployment with its latest revision."""

    deployment: Deployment
    latest: Revision | None
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class Page:
    start: int
    count: int
    total: int
    items: tuple[Shown, ...]


class Reading:
    def __init__(self, database: Database[Tx]) -> None:
        self._database = database

    async def one(self, org_id: UUID, cluster: str, address: Address) -> Shown:
        async with self._database.read() as tx:
            found = await tx.deployments.find(org_id, cluster, address)
            if found is None:
                raise DeploymentNotFoundError(address.wire)
            return (await _shown(tx, [found]))[0]

    async def by_id(self, deployment_id: UUID) -> Shown | None:
        """None when it has been deleted meanwhile."""
        async with self._database.read() as tx:
            found = await tx.deployments.get(deployment_id)
            return (await _shown(tx, [found]))[0] if found is not None else None

    async def is_live(self, revision_id: str, org_id: UUID) -> bool:
        """False for whatever is no revision of the organisation, or was retired."""
        try:
            wanted = UUID(revision_id)
        except ValueError:
            return False
        async with self._database.read() as tx:
            return await tx.revisions.is_live(wanted, org_id)

    async def page(self, org_id: UUID, selection: Selection) -> Page:
        """Newest first."""
        async with self._database.read() as tx:
            every = await tx.deployments.of_org(org_id)
            matching = [each for each in every if selection.takes(each)]
            end = None if selection.count is None else selection.start + selection.count
            chosen = matching[selection.start : end]
            items = await _shown(tx, chosen)
        return Page(selection.start, len(items), len(matching), tuple(items))

    async def running(self, org_id: UUID, fits: Callable[[Mapping[str, Any]], bool]) -> list[Shown]:
        """Those whose latest revision has a bento that ``fits``, in its wire form; newest first."""
        async with self._database.read() as tx:
            shown = await _shown(tx, await tx.deployments.of_org(org_id))
        return [each for each in shown if each.snapshot and fits(each.snapshot.bento)]

    async def replicas(self, deployment_id: UUID) -> list[Replica]:
        async with self._database.read() as tx:
            return await tx.replicas.of(deployment_id)

    async def live(self, deployment_id: UUID) -> list[Revision]:
        """Revisions that are not retired, newest first."""
        async with self._database.read() as tx:
            return await tx.revisions.live(deployment_id)

    async def routes(self) -> tuple[RouteView, ...]:
        """Every organisation's: for the data plane."""
        async with self._database.read() as tx:
            deployments = await tx.deployments.all()
            latest = await tx.revisions.latest([each.id for each in deployments])
            views = []
            for each in deployments:
                routed = each.routed_revision_id
                serving = await tx.revisions.get(routed) if routed is not None else None
                views.append(route_of(each, latest.get(each.id), serving))
        return tuple(views)


def route_of(
    deployment: Deployment, latest: Revision | None, serving: Revision | None
) -> RouteView:
    """What the data plane has to know. A failed update does not take the old route away."""
    asked = serving or latest
    state, reason = _state_of(deployment, latest)
    return RouteView(
        org_id=deployment.org_id,
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        generation=deployment.generation,
        state=state,
        reason=reason,
        access_authorization=asked.access_authorization if asked is not None else False,
        upstreams=tuple(Upstream(url=url) for url in deployment.upstreams),
    )


def _state_of(deployment: Deployment, latest: Revision | None) -> tuple[RouteState, str]:
    if deployment.upstreams:
        return "serving", ""
    if deployment.goal is not Goal.RUN:
        return "terminated", ""
    if latest is not None and latest.stage in {Stage.FAILED, Stage.IMAGE_FAILED}:
        return "failed", cut(reason_of(deployment, latest))
    return "starting", ""


async def _shown(tx: Tx, deployments: Sequence[Deployment]) -> list[Shown]:
    latest = await tx.revisions.latest([each.id for each in deployments])
    snapshots = await tx.revisions.snapshots([each.id for each in latest.values()])
    shown = []
    for deployment in deployments:
        revision = latest.get(deployment.id)
        snapshot = snapshots.get(revision.id) if revision is not None else None
        shown.append(Shown(deployment, revision, snapshot))
    return shown
