"""What the deployer says, for those who hear it."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

from uuid_utils.compat import uuid7

from libs.contracts.deployer import DeploymentRequested, PinnedModel
from libs.contracts.event import Envelope
from tests.support.envelopes import enveloped

ORG: Final = UUID(int=1)


def requested(
    digest: str,
    *models: PinnedModel,
    org: UUID = ORG,
    kind: Literal["environment", "oci"] = "environment",
    secrets: Sequence[str] = (),
) -> Envelope[DeploymentRequested]:
    """What the deployer says of a new revision."""
    event = DeploymentRequested(
        deployment_id=uuid7(),
        namespace="default",
        deployment="fox",
        revision_id=uuid7(),
        revision=1,
        target="local",
        kind=kind,
        org="default",
        bento_id=uuid7(),
        bento_repository="fox",
        bento_version="v1",
        bento_digest=digest,
        models=models,
        secrets=tuple(secrets),
    )
    return enveloped(event, "deployer", org=org, actor="user:1")
