"""What is said about a deployment, from what it is."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from libs.contracts.deployer import (
    DeploymentDeleted,
    DeploymentFailed,
    DeploymentReady,
    DeploymentRequested,
    DeploymentRouted,
    DeploymentTerminated,
    DeploymentUpdated,
    PinnedModel,
    Upstream,
)
from libs.contracts.registry import ResolvedBento
from libs.contracts.types import cut
from services.deployer.domain.deployment import Deployment, Revision

Kind: TypeAlias = Literal["environment", "oci"]
"""Of the images that revisions run from."""


def requested(
    deployment: Deployment,
    revision: Revision,
    bento: ResolvedBento,
    *,
    kind: Kind,
    secrets: Sequence[str],
) -> DeploymentRequested:
    return DeploymentRequested(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        revision_id=revision.id,
        revision=revision.number,
        target="local",
        kind=kind,
        org=deployment.org,
        bento_id=bento.bento_id,
        bento_repository=bento.repository,
        bento_version=bento.version,
        bento_digest=bento.digest,
        models=tuple(
            PinnedModel(repository=each.repository, version=each.version, digest=each.digest)
            for each in bento.models
        ),
        secrets=tuple(secrets),
    )


def updated(
    deployment: Deployment, before: dict[str, Any], after: dict[str, Any]
) -> DeploymentUpdated:
    return DeploymentUpdated(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        before=before,
        after=after,
    )


def ready(deployment: Deployment, revision: Revision) -> DeploymentReady:
    return DeploymentReady(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        revision_id=revision.id,
        revision=revision.number,
    )


def routed(
    deployment: Deployment, revision: Revision, *, generation: int, upstreams: tuple[str, ...]
) -> DeploymentRouted:
    return DeploymentRouted(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        revision_id=revision.id,
        revision=revision.number,
        generation=generation,
        access_authorization=revision.access_authorization,
        upstreams=tuple(Upstream(url=url) for url in upstreams),
    )


def failed(
    deployment: Deployment, revision: Revision, *, code: str, reason: str
) -> DeploymentFailed:
    return DeploymentFailed(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        revision_id=revision.id,
        revision=revision.number,
        code=code,
        reason=cut(reason),
    )


def terminated(deployment: Deployment, generation: int) -> DeploymentTerminated:
    return DeploymentTerminated(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
        generation=generation,
    )


def deleted(deployment: Deployment) -> DeploymentDeleted:
    return DeploymentDeleted(
        deployment_id=deployment.id,
        namespace=deployment.address.namespace,
        deployment=deployment.address.name,
    )
