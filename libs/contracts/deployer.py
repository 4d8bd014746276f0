"""Events the deployer publishes, and the routes it answers over HTTP."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from libs.contracts.event import Event
from libs.contracts.types import DeploymentName, Digest, ErrorText, Slug


class _OfDeployment(Event):
    deployment_id: UUID
    namespace: DeploymentName
    deployment: DeploymentName = Field(description="its name in the namespace")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.deployment_id


class PinnedModel(BaseModel):
    """A model that a revision pins by digest."""

    model_config = ConfigDict(frozen=True)

    repository: Slug
    version: Slug
    digest: Digest


class DeploymentRequested(_OfDeployment):
    """A revision needs an image before it can run."""

    name: ClassVar[str] = "deployment.requested"

    revision_id: UUID
    revision: int = Field(ge=1, description="counts the deployment's revisions")
    target: Literal["local", "kubernetes"]
    kind: Literal["environment", "oci"] = Field(
        default="environment", description="what is to be built: a directory, or a container image"
    )
    org: str = Field(default="", max_length=200, description="the organisation's name")
    bento_id: UUID
    bento_repository: Slug
    bento_version: Slug
    bento_digest: Digest = Field(description="pinned: a later push of the tag changes nothing")
    models: tuple[PinnedModel, ...] = Field(default=(), description="pinned likewise")
    secrets: tuple[str, ...] = Field(
        default=(), description="names of those that its build may be given; never a value"
    )


class DeploymentUpdated(_OfDeployment):
    """Any change that needs no build; ``before``/``after`` hold only the fields that changed."""

    name: ClassVar[str] = "deployment.updated"

    before: dict[str, Any] = Field(description="the changed fields as they were")
    after: dict[str, Any] = Field(description="the same fields as they are")


class DeploymentReady(_OfDeployment):
    """Every service of a revision answers its readiness probe."""

    name: ClassVar[str] = "deployment.ready"

    revision_id: UUID
    revision: int = Field(description="counts the deployment's revisions")


class DeploymentFailed(_OfDeployment):
    """A revision will not run without another change. The old one keeps its traffic."""

    name: ClassVar[str] = "deployment.failed"

    revision_id: UUID
    revision: int = Field(description="counts the deployment's revisions")
    code: Slug = Field(description="what sort of failure, for programs")
    reason: ErrorText = Field(description="last words of the process, or of the build")


class Upstream(BaseModel):
    """Where one replica of the entry service listens."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="`http://127.0.0.1:PORT`, no path")


class DeploymentRouted(_OfDeployment):
    """Traffic belongs to these upstreams from now on.

    ``generation`` grows with every routing of the deployment; the gateway answers with
    ``route.applied`` of the same generation.
    """

    name: ClassVar[str] = "deployment.routed"

    revision_id: UUID
    revision: int = Field(description="counts the deployment's revisions")
    generation: int = Field(ge=1, description="counts the deployment's routings")
    access_authorization: bool = Field(description="callers need a token of the organisation")
    upstreams: tuple[Upstream, ...] = Field(description="one for each replica of the entry service")


class DeploymentTerminated(_OfDeployment):
    """Nothing of the deployment runs; its route is gone."""

    name: ClassVar[str] = "deployment.terminated"

    generation: int = Field(ge=1, description="counts the deployment's routings")


class DeploymentDeleted(_OfDeployment):
    """The deployment is no more and its name is free."""

    name: ClassVar[str] = "deployment.deleted"


class _OfSecret(Event):
    """Never a value, nor anything made of one."""

    secret_id: UUID
    secret: str = Field(max_length=63, description="its name")
    kind: Literal["env", "mountfile"] = Field(description="variables, or files")
    stage: Literal["build", "runtime", "all"] = Field(description="when it is needed")
    keys: tuple[str, ...] = Field(description="names of its variables or files")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.secret_id


class SecretCreated(_OfSecret):
    """Somebody keeps values under a new name."""

    name: ClassVar[str] = "secret.created"


class SecretUpdated(_OfSecret):
    """All items were replaced; processes that start from now on have the new ones."""

    name: ClassVar[str] = "secret.updated"


class SecretDeleted(_OfSecret):
    """No revision that may run was asked to have it."""

    name: ClassVar[str] = "secret.deleted"


class SecretsWanted(BaseModel):
    """Asked of ``POST /internal/secrets/opened`` by the builder, when a build uses them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[Annotated[str, Field(max_length=80)], ...] = Field(min_length=1, max_length=32)
    beginnings: tuple[Annotated[str, Field(max_length=80)], ...] = Field(default=(), max_length=8)
    """Of the variables that are of use; none: all of them."""


class SecretsOpened(BaseModel):
    """Variables with their values: neither stored nor logged by whoever gets them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    variables: dict[str, str] = Field(repr=False)


RouteState = Literal["starting", "serving", "failed", "terminated"]


class RouteView(BaseModel):
    """One deployment as the data plane must know it."""

    model_config = ConfigDict(frozen=True)

    org_id: UUID
    deployment_id: UUID
    namespace: DeploymentName
    deployment: DeploymentName
    generation: int = Field(ge=0)
    state: RouteState
    reason: str = Field(default="", max_length=8192)
    access_authorization: bool
    upstreams: tuple[Upstream, ...] = ()


class RouteTable(BaseModel):
    """Answer of ``GET /internal/routes``: from it the gateway rebuilds its projection."""

    model_config = ConfigDict(frozen=True)

    routes: tuple[RouteView, ...]
